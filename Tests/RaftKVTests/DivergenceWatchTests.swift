import Testing

@testable import RaftKV

@Suite("DivergenceWatch")
struct DivergenceWatchTests {
  private let voters = (1...3).map { NodeID($0) }

  private func report(_ hash: UInt64, at index: UInt64 = 1024, version: UInt32 = 1)
    -> StateHashReport
  {
    StateHashReport(version: version, index: LogIndex(index), hash: StateHash(low: hash))
  }

  private func note(
    _ watch: inout DivergenceWatch, _ report: StateHashReport, from peer: UInt64,
    own: StateHashReport
  ) -> DivergenceWatch.Verdict {
    watch.note(report, from: NodeID(peer), own: own, by: NodeID(1), voters: voters)
  }

  @Test("equal states are no news, whoever reports them")
  func agreement() {
    var watch = DivergenceWatch()
    for peer in [2, 3, 2, 9] as [UInt64] {
      let verdict = note(&watch, report(7), from: peer, own: report(7))
      #expect(verdict == .agreed)
    }
  }

  @Test("who differs from a majority is named, be it the leader itself")
  func deviants() {
    var watch = DivergenceWatch()
    let silent = note(&watch, report(8), from: 3, own: report(7))
    #expect(silent == .agreed, "one against one: nobody is stopped yet")
    let third = note(&watch, report(7), from: 2, own: report(7))
    #expect(third == .deviant(NodeID(3)))
    watch.forget()
    _ = note(&watch, report(8), from: 3, own: report(7))
    let own = note(&watch, report(8), from: 2, own: report(7))
    #expect(own == .deviant(NodeID(1)))
    // A learner that differs is named as well; it does not vote on it.
    watch.forget()
    _ = note(&watch, report(7), from: 2, own: report(7))
    let learner = note(&watch, report(8), from: 9, own: report(7))
    #expect(learner == .deviant(NodeID(9)))
  }

  @Test("without a majority there is one alarm for each index, and nobody is stopped")
  func undecided() {
    var watch = DivergenceWatch()
    _ = note(&watch, report(8), from: 2, own: report(7))
    let first = note(&watch, report(9), from: 3, own: report(7))
    #expect(first == .undecided)
    let again = note(&watch, report(9), from: 3, own: report(7))
    #expect(again == .agreed, "not the same alarm over and over")
    _ = note(&watch, report(8, at: 2048), from: 2, own: report(7, at: 2048))
    let later = note(&watch, report(9, at: 2048), from: 3, own: report(7, at: 2048))
    #expect(later == .undecided)
  }

  @Test("other versions of the hash, and other indexes, are not compared")
  func incomparable() {
    var watch = DivergenceWatch()
    for peer in [2, 3] as [UInt64] {
      let version = note(&watch, report(8, version: 2), from: peer, own: report(7))
      #expect(version == .agreed)
    }
    watch.forget()
    _ = note(&watch, report(8, at: 2048), from: 2, own: report(8, at: 2048))
    let index = note(&watch, report(7), from: 3, own: report(7))
    #expect(index == .agreed)
  }
}
