import RaftKV
import Simulation

/// A whole node, of a cluster of three, whose peers say whatever the input says, well-formed.
///
/// Rules: no message ends the process, but for those that are meant to (a command from the future,
/// the word of the leader that our state differs); what must always hold of a node's own state
/// holds.
package enum PeerFuzzer: Fuzzer {
  package static let name = "peer"

  package static let configuration = Configuration(
    members: (1...3).map { number in
      Configuration.Member(
        id: NodeID(number), name: "n\(number)", memberSince: LogIndex(1),
        raftAddress: "h\(number):1", httpAddress: "h\(number):2", role: .voter)
    })

  package static func judge(_ input: [UInt8]) throws {
    let node = try LiedToNode()
    var script = Script(input)
    while !script.isAtEnd, node.fatal == nil { try node.step(&script) }
    withExtendedLifetime(node) {}
  }

  /// One message of each kind.
  static var samples: [(Envelope, [UInt8])] {
    let last = EntryID(index: LogIndex(1), term: Term(1))
    var records = ByteBuffer()
    records.append(
      recordKind: EntryKind.noop.rawValue, id: EntryID(index: LogIndex(2), term: Term(2)),
      payload: .init(start: nil, count: 0))
    let entry = EntryHeader(term: Term(2), kind: .noop, size: 0)
    let messages: [(Message, [UInt8])] = [
      (.voteRequest(VoteRequest(phase: .vote, lastEntry: last)), []),
      (.voteReply(VoteReply(phase: .preVote, granted: true)), []),
      (
        .append(
          AppendRequest(previous: last, leaderCommit: LogIndex(2), round: 1, entries: [entry])),
        Array(records.readable)
      ),
      (.appendReply(AppendReply(outcome: .matched(LogIndex(2)), round: 1)), []),
      (.heartbeat(Heartbeat(commit: LogIndex(1), round: 2)), []),
      (.heartbeatReply(HeartbeatReply(round: 2)), []), (.timeoutNow, []),
      (
        .snapshotChunk(SnapshotChunk(lastEntry: last, offset: 0, size: 3, total: 9, round: 1)),
        [1, 2, 3]
      ),
      (.snapshotReply(SnapshotReply(lastEntry: last, offset: 3, round: 1)), []),
      (.removed(by: LogIndex(9)), []), (.diverged(at: LogIndex(9)), []),
      (
        .moved(
          MoveReport(
            member: NodeID(3), memberSince: LogIndex(1), raftAddress: "h:1", httpAddress: "h:2")),
        []
      ),
    ]
    return messages.map {
      (Envelope(from: NodeID(1), to: NodeID(2), term: Term(2), message: $0), $1)
    }
  }

  package static var seeds: [[UInt8]] {
    // Follow a leader; win an election and hear answers; be sent a snapshot.
    let append: [UInt8] = [0, 2, 194, 1, 1, 190, 0, 1, 0, 2, 0, 3, 0, 1, 2, 3]
    let heartbeat: [UInt8] = [0, 4, 192, 1, 1]
    let wait: [UInt8] = [4, 200, 5, 20, 4, 200, 5, 20]
    let grants: [UInt8] = [0, 1, 193, 1, 1, 5, 9, 1, 1, 193, 1, 1, 5, 9, 0, 1, 192, 0, 1, 5, 9]
    let chunk: [UInt8] = [0, 7, 194, 20, 1, 0, 3, 1, 1, 2, 3, 5, 9]
    return [
      append + heartbeat + append, wait + grants + [0, 3, 192, 0, 190, 1], heartbeat + chunk,
      wait + grants + wait + [6, 0, 3, 0, 1, 2, 3, 5, 9], [7, 0, 7, 1] + append + [5, 9, 7, 2],
      [0, 0, 194, 0, 1, 190, 1, 5, 9], [0, 9, 194, 5, 0, 6, 192, 0, 10, 192, 4],
    ]
  }
}
