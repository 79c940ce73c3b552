import Simulation
import Testing

@testable import RaftKV

@Suite("Replica: snapshots")
struct ReplicaSnapshotTests {
  private static func settings(_ settings: inout ReplicaSettings) {
    settings.snapshotEntries = 4
    settings.snapshotBytes = 1
  }

  /// A snapshot as a leader would send it, in one chunk.
  private struct Offer {
    let lastEntry: EntryID
    private let bytes: [UInt8]

    init() throws {
      let leader = try ReplicaBench(ReplicaSnapshotTests.settings)
      leader.lead(votes: [])
      for number in 0..<40 { leader.put("key\(number)") }
      let name = try #require(leader.disk.names.last { SnapshotName.lastEntry($0) != nil })
      lastEntry = SnapshotName.lastEntry(name)!
      bytes = leader.disk.contents(of: name)
    }

    func send(to bench: ReplicaBench) {
      let size = bytes.count
      let chunk = SnapshotChunk(
        lastEntry: lastEntry, offset: 0, size: UInt32(size), total: UInt64(size), round: 1)
      var payload = ByteBuffer()
      bytes.withUnsafeBytes { payload.append($0) }
      bench.hear(.snapshotChunk(chunk), from: 2, payload: payload)
    }
  }

  /// A follower whose log has ten entries that it does not know to be committed.
  private func follower() throws -> ReplicaBench {
    let bench = try ReplicaBench(voters: 2...3, Self.settings)
    bench.connect(2)
    var records = ByteBuffer()
    var headers: [EntryHeader] = []
    let previous = bench.node.raft.outline.lastEntry
    for number in 1...10 {
      let id = EntryID(index: previous.index + number, term: Term(2))
      let payload = encodedPut(Array("key\(number)".utf8), [1])
      payload.withUnsafeBytes { records.append(EntryRecord(kind: .command, id: id, payload: $0)) }
      headers.append(EntryHeader(term: Term(2), kind: .command, size: UInt32(payload.count)))
    }
    let request = AppendRequest(
      previous: previous, leaderCommit: .zero, round: 1, entries: headers)
    bench.hear(.append(request), from: 2, term: Term(9), payload: records)
    return bench
  }

  private func commitAll(_ bench: ReplicaBench, in term: Term = Term(9), from leader: Int = 2) {
    let last = bench.node.raft.lastIndex
    let probe = AppendRequest(
      previous: bench.node.raft.outline.lastEntry, leaderCommit: last, round: 2, entries: [])
    bench.hear(.append(probe), from: leader, term: term)
  }

  @Test("who gave up a snapshot of its own for the leader's waits for that one")
  func ownGivenUp() throws {
    let offer = try Offer()
    let bench = try follower()
    bench.isDiskHeld = true
    commitAll(bench)
    #expect(bench.node.outgoing != nil)
    offer.send(to: bench)
    #expect(bench.node.outgoing == nil && bench.node.incoming == nil, "its writer is not free yet")
    bench.isDiskHeld = false
    bench.turn()
    #expect(!bench.disk.names.contains { $0.hasPrefix("snapshot") })
    offer.send(to: bench)
    #expect(bench.node.appliedIndex == offer.lastEntry.index)
  }

  @Test("none of our own is written that is older than a received one that is not installed")
  func receivedAhead() throws {
    let offer = try Offer()
    let bench = try follower()
    bench.isDiskHeld = true
    offer.send(to: bench)
    let name = SnapshotName.make(offer.lastEntry)
    for _ in 0..<100 where !bench.disk.names.contains(name) {
      _ = bench.disk.step()
      bench.node.endTurn()
    }
    #expect(bench.disk.names.contains(name))
    // Its leader falls at that moment.
    bench.hear(.heartbeat(Heartbeat(commit: .zero, round: 1)), from: 3, term: Term(10))
    commitAll(bench, in: Term(10), from: 3)
    for _ in 0..<500 where bench.disk.step() { bench.node.endTurn() }
    #expect(bench.node.hasSnapshotAhead && bench.node.appliedIndex < offer.lastEntry.index)
    #expect(bench.disk.isIdle && bench.node.outgoing == nil)
  }
}
