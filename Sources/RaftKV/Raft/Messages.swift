/// What travels between nodes. Entries are described here by their headers alone; their bytes stay
/// with the log and the sockets, because consensus never needs them.
package struct Envelope: Equatable, Sendable {
  package var from: NodeID
  package var to: NodeID
  /// The sender's term; in a pre-vote request and its granted reply, the term that would be (A9).
  package var term: Term
  package var message: Message

  package init(from: NodeID, to: NodeID, term: Term, message: Message) {
    self.from = from
    self.to = to
    self.term = term
    self.message = message
  }
}

package enum Message: Equatable, Sendable {
  case voteRequest(VoteRequest)
  case voteReply(VoteReply)
  case append(AppendRequest)
  case appendReply(AppendReply)
  case heartbeat(Heartbeat)
  case heartbeatReply(HeartbeatReply)
  /// Leadership transfer: campaign now, without a pre-vote (dissertation §3.10).
  case timeoutNow
  case snapshotChunk(SnapshotChunk)
  case snapshotReply(SnapshotReply)
  /// Said only by a leader whose own-term committed configuration lacks the receiver (D7).
  case removed(by: LogIndex)
  /// Said by a leader to the member whose state at this index differs from a majority's: stop.
  case diverged(at: LogIndex)
  /// Said by a follower to its leader: a member is elsewhere than is recorded (D12). Boxed, for it
  /// is rare, and all others are copied the more cheaply.
  indirect case moved(MoveReport)
}

package enum EntryKind: UInt8, Equatable, Sendable {
  /// Opens every term (§8; B8).
  case noop = 1
  case configuration = 2
  case command = 3
  /// A command that frees space, like a delete: a full disk still takes it.
  case reclaim = 4
}

/// An entry without its payload.
package struct EntryHeader: Equatable, Sendable {
  package var term: Term
  package var kind: EntryKind
  /// Payload bytes.
  package var size: UInt32
  /// Decoded when `kind` is `.configuration`: the one payload that consensus reads.
  package var configuration: Configuration?

  package init(term: Term, kind: EntryKind, size: UInt32, configuration: Configuration? = nil) {
    self.term = term
    self.kind = kind
    self.size = size
    self.configuration = configuration
  }
}

/// RequestVote (Figure 2), and the pre-vote in its shape.
package struct VoteRequest: Equatable, Sendable {
  package enum Phase: UInt8, Sendable {
    case preVote = 1
    case vote = 2
  }
  package var phase: Phase
  package var lastEntry: EntryID
  /// Set when a leader asked for this election: stickiness does not apply (dissertation §4.2.3).
  package var isTransfer: Bool

  package init(phase: Phase, lastEntry: EntryID, isTransfer: Bool = false) {
    self.phase = phase
    self.lastEntry = lastEntry
    self.isTransfer = isTransfer
  }
}

package struct VoteReply: Equatable, Sendable {
  package var phase: VoteRequest.Phase
  package var granted: Bool
  package init(phase: VoteRequest.Phase, granted: Bool) {
    self.phase = phase
    self.granted = granted
  }
}

/// AppendEntries (Figure 2): `count` entries that follow `previous` without a gap.
package struct AppendRequest: Equatable, Sendable {
  package var previous: EntryID
  package var leaderCommit: LogIndex
  /// The newest read or lease round at the time of sending; the reply echoes it.
  package var round: UInt64
  package var count: Int
  /// The entries' headers, for the receiver; empty on the way out, where
  /// the driver adds the records.
  package var entries: [EntryHeader]

  package init(
    previous: EntryID, leaderCommit: LogIndex, round: UInt64, entries: [EntryHeader] = [],
    count: Int? = nil
  ) {
    self.previous = previous
    self.leaderCommit = leaderCommit
    self.round = round
    self.entries = entries
    self.count = count ?? entries.count
  }

  package var last: LogIndex { previous.index + count }
}

package struct AppendReply: Equatable, Sendable {
  package enum Outcome: Equatable, Sendable {
    /// The log agrees with the leader's through here, durably. Never the
    /// follower's own last index (B3).
    case matched(LogIndex)
    /// The log does not have `previous`. The hint is the last entry at or before it whose term
    /// could still agree: the leader probes no later than there (B12).
    case conflict(previous: LogIndex, hint: EntryID)
    /// The disk is full: come back later; nothing was appended after this entry.
    case full(previous: LogIndex)
  }
  package var outcome: Outcome
  package var round: UInt64
  package init(outcome: Outcome, round: UInt64) {
    self.outcome = outcome
    self.round = round
  }
}

package struct Heartbeat: Equatable, Sendable {
  /// min(commitIndex, the receiver's match index): true without a consistency check (B4).
  package var commit: LogIndex
  package var round: UInt64
  package init(commit: LogIndex, round: UInt64) {
    self.commit = commit
    self.round = round
  }
}

package struct HeartbeatReply: Equatable, Sendable {
  package var round: UInt64
  /// The sender's disk is full: it cannot be handed the leadership.
  package var isFull: Bool
  package init(round: UInt64, isFull: Bool = false) {
    self.round = round
    self.isFull = isFull
  }
}

/// InstallSnapshot (§7), one chunk; `bytes` travel beside it. One chunk
/// is unacknowledged at a time.
package struct SnapshotChunk: Equatable, Sendable {
  /// The last entry the snapshot covers: with `total` its identity.
  package var lastEntry: EntryID
  package var offset: UInt64
  package var size: UInt32
  /// The file's whole size.
  package var total: UInt64
  package var round: UInt64
  /// The offset of the next one.
  package var end: UInt64 { offset + UInt64(size) }
  package var isLast: Bool { end == total }

  package init(lastEntry: EntryID, offset: UInt64, size: UInt32, total: UInt64, round: UInt64) {
    self.lastEntry = lastEntry
    self.offset = offset
    self.size = size
    self.total = total
    self.round = round
  }
}

package struct SnapshotReply: Equatable, Sendable {
  package var lastEntry: EntryID
  /// The next offset wanted; 0 to begin again. That it is installed, an `AppendReply` tells.
  package var offset: UInt64
  package var round: UInt64

  package init(lastEntry: EntryID, offset: UInt64, round: UInt64) {
    self.lastEntry = lastEntry
    self.offset = offset
    self.round = round
  }
}

/// What a member has said of its addresses, passed on to whoever leads: the member need not know
/// the leader, which may have joined while the member was down and had moved (D12).
package struct MoveReport: Hashable, Sendable {
  package var member: NodeID
  package var memberSince: LogIndex
  package var raftAddress: String
  package var httpAddress: String

  package init(member: NodeID, memberSince: LogIndex, raftAddress: String, httpAddress: String) {
    self.member = member
    self.memberSince = memberSince
    self.raftAddress = raftAddress
    self.httpAddress = httpAddress
  }
}
