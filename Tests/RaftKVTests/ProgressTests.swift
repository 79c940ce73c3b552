import Testing

@testable import RaftKV

/// What a leader knows of one follower: every rule of `Progress` on its own.
@Suite("Progress")
struct ProgressTests {
  private let start = Instant(nanoseconds: 0)
  private let later = Instant(nanoseconds: 1_000_000)

  private func progress(lastIndex: UInt64 = 10) -> Progress {
    Progress(id: NodeID(2), lastIndex: LogIndex(lastIndex), isConnected: true, at: start)
  }

  private func replicating(from match: UInt64) -> Progress {
    var progress = progress()
    _ = progress.acknowledge(through: LogIndex(match), at: start)
    progress.becomeReplicate()
    return progress
  }

  /// Stated on the fields; asked after everything that a test does.
  private func check(_ progress: Progress, lastIndex: UInt64) {
    #expect(progress.matchIndex < progress.nextIndex)
    #expect(progress.nextIndex <= LogIndex(lastIndex).next)
    if progress.state != .replicate {
      #expect(progress.messagesInFlight == 0 && progress.bytesInFlight == 0)
    }
  }

  @Test("a new leader knows no match, and probes at the end of its log (Figure 2)")
  func beginning() {
    let progress = progress()
    #expect(progress.state == .probe)
    #expect(progress.matchIndex == .zero && progress.nextIndex == LogIndex(11))
    #expect(!progress.isProbeSent && progress.round == 0 && !progress.isFull)
    #expect(progress.lastContact == start && progress.catchUp.lastProgress == start)
    check(progress, lastIndex: 10)
  }

  @Test("the match index rises and never falls; nextIndex stays above it (B5)")
  func acknowledgements() {
    var progress = progress()
    let moved1 = progress.acknowledge(through: LogIndex(4), at: later)
    #expect(moved1)
    #expect(progress.matchIndex == LogIndex(4) && progress.nextIndex == LogIndex(11))
    #expect(progress.catchUp.lastProgress == later)
    for old in [4, 3, 0] as [UInt64] {
      let moved2 = progress.acknowledge(through: LogIndex(old), at: Instant(nanoseconds: 9))
      #expect(!moved2)
      #expect(progress.matchIndex == LogIndex(4))
    }
    #expect(progress.catchUp.lastProgress == later, "a repetition is no progress")
    progress.probe(after: LogIndex(5))
    #expect(progress.nextIndex == LogIndex(6))
    let moved3 = progress.acknowledge(through: LogIndex(10), at: later)
    #expect(moved3)
    #expect(progress.nextIndex == LogIndex(11), "what is acknowledged need not be sent")
    check(progress, lastIndex: 10)
  }

  @Test("a refused probe goes back, but never to what is known to match (B5, B12)")
  func refusals() {
    var progress = progress()
    progress.didProbe(through: LogIndex(10), round: 1)
    progress.probe(after: LogIndex(6))
    #expect(progress.nextIndex == LogIndex(7) && !progress.isProbeSent)
    _ = progress.acknowledge(through: LogIndex(5), at: later)
    progress.probe(after: LogIndex(2))
    #expect(progress.nextIndex == LogIndex(6))
    // What the refused probe carried did not arrive.
    progress.becomeReplicate()
    #expect(progress.nextIndex == LogIndex(6))
    check(progress, lastIndex: 10)
  }

  @Test("one probe at a time, until a heartbeat that left after it is answered (B13)")
  func probing() {
    var progress = progress()
    progress.didProbe(through: LogIndex(10), round: 3)
    #expect(progress.isProbeSent)
    for round in [1, 2, 3] as [UInt64] {
      progress.retryProbe(before: round)
      #expect(progress.isProbeSent, "round \(round) left before or with the probe")
    }
    progress.retryProbe(before: 4)
    #expect(!progress.isProbeSent)
  }

  @Test("what a successful probe carried counts as sent; a lost one's does not")
  func probeEnd() {
    var progress = progress(lastIndex: 20)
    progress.probe(after: LogIndex(5))
    progress.didProbe(through: LogIndex(12), round: 1)
    // The follower has acknowledged where the probe began, its disk is not done with the rest.
    _ = progress.acknowledge(through: LogIndex(5), at: later)
    progress.becomeReplicate()
    #expect(progress.state == .replicate && progress.nextIndex == LogIndex(13))
    // Once back at probing, that is forgotten.
    progress.becomeProbe()
    #expect(progress.nextIndex == LogIndex(6))
    progress.becomeReplicate()
    #expect(progress.nextIndex == LogIndex(6))
    check(progress, lastIndex: 20)
  }

  @Test("probing again where it probed before, nothing found so far is given up")
  func reconnectWhileProbing() {
    var progress = progress()
    progress.probe(after: LogIndex(3))
    progress.didProbe(through: LogIndex(10), round: 1)
    progress.becomeProbe()
    #expect(progress.nextIndex == LogIndex(4), "not the whole log again")
    #expect(!progress.isProbeSent)
  }

  @Test("replicating, entries are pipelined: each message counts until it is acknowledged (B13)")
  func window() {
    var progress = replicating(from: 2)
    #expect(progress.nextIndex == LogIndex(3))
    progress.didSend(through: LogIndex(4), bytes: 100, round: 1)
    progress.didSend(through: LogIndex(5), bytes: 10, round: 1)
    progress.didSend(through: LogIndex(9), bytes: 1, round: 1)
    #expect(progress.nextIndex == LogIndex(10))
    #expect(progress.messagesInFlight == 3 && progress.bytesInFlight == 111)
    // Half of the first message acknowledges none of them.
    let moved4 = progress.acknowledge(through: LogIndex(3), at: later)
    #expect(moved4)
    #expect(progress.messagesInFlight == 3 && progress.bytesInFlight == 111)
    // One acknowledgement may answer several.
    let moved5 = progress.acknowledge(through: LogIndex(5), at: later)
    #expect(moved5)
    #expect(progress.messagesInFlight == 1 && progress.bytesInFlight == 1)
    // An old one frees nothing.
    let moved6 = progress.acknowledge(through: LogIndex(4), at: later)
    #expect(!moved6)
    #expect(progress.messagesInFlight == 1)
    let moved7 = progress.acknowledge(through: LogIndex(9), at: later)
    #expect(moved7)
    #expect(progress.messagesInFlight == 0 && progress.bytesInFlight == 0)
    check(progress, lastIndex: 10)
  }

  @Test("what is in flight can only be missed by a round that began after it left (B13)")
  func overdue() {
    var progress = replicating(from: 2)
    progress.didSend(through: LogIndex(4), bytes: 100, round: 7)
    #expect(!progress.wasAllSent(before: 7))
    #expect(progress.wasAllSent(before: 8))
    progress.didSend(through: LogIndex(5), bytes: 10, round: 8)
    #expect(!progress.wasAllSent(before: 8))
  }

  @Test("back from replicating to probing, what was in flight may be lost: all of it is sent again")
  func backToProbing() {
    var progress = replicating(from: 2)
    progress.didSend(through: LogIndex(9), bytes: 50, round: 1)
    progress.becomeProbe()
    #expect(progress.state == .probe && progress.nextIndex == LogIndex(3))
    check(progress, lastIndex: 10)
  }

  @Test("while probing, sending moves nothing: it is optimism only where logs are known to agree")
  func sendingWhileProbing() {
    var progress = progress()
    progress.probe(after: LogIndex(3))
    progress.didSend(through: LogIndex(9), bytes: 50, round: 1)
    #expect(progress.nextIndex == LogIndex(4))
    check(progress, lastIndex: 10)
  }

  @Test("a snapshot under way is changed in place, and nothing but a snapshot is")
  func snapshots() {
    let snapshot = Progress.SnapshotProgress(
      lastEntry: EntryID(index: LogIndex(8), term: Term(1)), total: 100, offset: 0, sentAt: nil)
    var progress = replicating(from: 2)
    progress.updateSnapshot { $0.offset = 50 }
    #expect(progress.state == .replicate)
    progress.didSend(through: LogIndex(9), bytes: 50, round: 1)
    progress.becomeSnapshot(snapshot)
    check(progress, lastIndex: 10)
    progress.updateSnapshot { $0.offset = 50 }
    guard case .snapshot(let changed) = progress.state else {
      Issue.record("\(progress.state)")
      return
    }
    #expect(changed.offset == 50 && changed.lastEntry == snapshot.lastEntry)
    // Installed: the log goes on behind it.
    let moved8 = progress.acknowledge(through: LogIndex(8), at: later)
    #expect(moved8)
    progress.becomeReplicate()
    #expect(progress.nextIndex == LogIndex(9))
    check(progress, lastIndex: 10)
  }

  @Test("rounds only rise: an answer that was overtaken confirms nothing new (C2)")
  func rounds() {
    var progress = progress()
    progress.acknowledge(round: 5)
    progress.acknowledge(round: 3)
    #expect(progress.round == 5)
    progress.acknowledge(round: 6)
    #expect(progress.round == 6)
  }

  @Test("against a dumb twin: the window is what was sent and not acknowledged")
  func twin() {
    var random = Random(seed: 7)
    for _ in 0..<200 {
      var progress = replicating(from: 0)
      var sent: [(last: UInt64, bytes: Int)] = []
      var next: UInt64 = 1
      var match: UInt64 = 0
      for _ in 0..<60 {
        if random.next() % 3 != 0 {
          let last = next + random.next() % 4
          let bytes = Int(random.next() % 1000)
          progress.didSend(through: LogIndex(last), bytes: bytes, round: 1)
          sent.append((last, bytes))
          next = last + 1
        } else {
          let index = random.next() % next
          let moved9 = progress.acknowledge(through: LogIndex(index), at: later)
          #expect(moved9 == (index > match))
          sent.removeAll { $0.last <= index }
          match = max(match, index)
        }
        #expect(progress.matchIndex == LogIndex(match) && progress.nextIndex == LogIndex(next))
        #expect(progress.messagesInFlight == sent.count)
        #expect(progress.bytesInFlight == sent.reduce(0) { $0 + $1.bytes })
        check(progress, lastIndex: next - 1)
      }
    }
  }
}
