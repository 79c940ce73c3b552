/// What the engine asks of its driver. The driver performs it in this order, and the order is where
/// safety lives:
///
/// 0. `logEdits`, after every call that may produce them: the bytes they speak of are still at
///    hand. They touch memory only; nothing is durable by them.
/// 1. `hardState` is handed to the disk. Until its completion comes back through
///    `didPersistHardState`, the engine holds back every message and every log write of the new
///    term: a vote that could be forgotten would be given twice (A1), and a log must never hold a
///    term above the durable one.
/// 2. `logWrite`: all edits so far are handed to the disk under this ticket. Its completion
///    comes back through `didPersist(ticket:)`, which alone produces a follower's
///    acknowledgement (B9, G1).
/// 3. `messages` are sent. A leader's own AppendEntries may leave before its disk write: it does
///    not count itself before its own completion (dissertation §10.2.1).
/// 4. Committed entries are applied, up to `applicableIndex`, and their clients answered: never a
///    reply before apply (I4).
/// 5. `confirmedReads` are answered once the state machine has applied their index (C1).
package struct Effects {
  package var logEdits: [LogEdit] = []
  package var hardState: HardState?
  package var logWrite: UInt64?
  package var messages: [Envelope] = []
  package var confirmedReads: ConfirmedReads?
  /// Dial these at once and say through `didFindDead` if the process is gone (fast failover).
  package var probes: [NodeID] = []
  /// Hang up on their senders.
  package var contradictions: [Contradiction] = []
  package var notices: [Notice] = []

  package init() {}

  package var isEmpty: Bool {
    logEdits.isEmpty && hardState == nil && logWrite == nil && messages.isEmpty
      && confirmedReads == nil && probes.isEmpty && contradictions.isEmpty && notices.isEmpty
  }

  /// Empties it for the next turn, which finds the memory of this one.
  package mutating func clear() {
    logEdits.removeAll(keepingCapacity: true)
    hardState = nil
    logWrite = nil
    messages.removeAll(keepingCapacity: true)
    confirmedReads = nil
    probes.removeAll(keepingCapacity: true)
    contradictions.removeAll(keepingCapacity: true)
    notices.removeAll(keepingCapacity: true)
  }
}

/// A change of the log, in memory; see `Effects`.
package enum LogEdit: Equatable, Sendable {
  /// Drop everything after this entry: it conflicts with the leader's log (§5.3).
  case truncate(after: EntryID)
  /// Append the entries of the AppendEntries just received, from its `first`-th (counted from 0).
  case appendReceived(first: Int, count: Int)
  /// Append an entry that the engine itself made.
  case appendNoop(EntryID)
  case appendConfiguration(EntryID, Configuration)
  /// Append the bytes of the chunk just received to the incoming
  /// snapshot; `isFirst` begins it anew.
  case storeChunk(SnapshotChunk, isFirst: Bool)
  /// The installed snapshot replaces the whole log and state.
  case reset(to: EntryID)
  /// Entries through here are covered by a durable snapshot and may go.
  case compact(through: EntryID)
}

/// Every read with a ticket up to this one may be answered from state that has applied `index`.
package struct ConfirmedReads: Equatable, Sendable {
  package var through: UInt64
  package var index: LogIndex
}

/// What happened, for the operator's log and for tests; nothing depends on it.
package enum Notice: Equatable, Sendable {
  case roleChanged(Role, Term, leader: NodeID)
  case steppedDown(Term, StepDownReason)
  case configurationChanged(LogIndex)
  case wasRemoved(by: LogIndex)
  case transferStarted(to: NodeID)
  case transferAborted(to: NodeID)
  case followerNeedsSnapshot(NodeID)
  case learnerStalled(NodeID)
}

package enum StepDownReason: Equatable, Sendable {
  case higherTerm
  case lostQuorum
  case removedItself
  case diskHung
}

package enum Role: Equatable, Sendable {
  case follower
  case preCandidate
  case candidate
  case leader
}
