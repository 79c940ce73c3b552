import DequeModule

/// One node: the engine, its log, the state machine, and the clients that wait. It drives `Raft` as
/// `Effects` says, over a disk and a transport that the simulator replaces.
///
/// Callbacks record what happened; `endTurn` acts on it. Reading order: this file, `Replica+Requests` (what
/// clients ask), `Replica+Turn` (what a turn does), `Replica+Apply`, `Replica+Peers`, `Replica+Snapshots`,
/// `Replica+Administration`.
package final class Replica<D: Disk, T: Transport, Replies: ReplySink> {
  let settings: ReplicaSettings
  let logger: Logger
  let clock: () -> Instant
  /// Milliseconds since 1970, for the clock that commands carry. Nothing else looks at it.
  let wallClock: () -> UInt64

  package internal(set) var raft: Raft
  var effects = Effects()
  let log: LogStore<D>
  let hardStateStore: HardStateStore<D>
  let snapshots: SnapshotStore<D>
  let identities: IdentityStore<D>
  package internal(set) var identity: Identity
  package internal(set) var store: KeyValueStore

  // Wired once, at start; the transport and the connections outlive no turn of ours.
  package unowned(unsafe) var transport: T!
  package unowned(unsafe) var replies: Replies!
  /// The loop shall come round again at once: there is work left.
  package var requestAnotherTurn: () -> Void = {}
  /// The node must end: the reason, and the exit code that documents it.
  package var onFatal: (FatalError) -> Void = { _ in }

  // MARK: Clients

  var writes = PendingReplies()
  var reads = PendingReads()
  /// Since when nobody leads, as far as this node knows; nil while someone does.
  var leaderlessSince: Instant?
  /// Requests held until leadership is settled.
  var heldCount = 0
  var command = ByteBuffer()
  var administration = Administration()

  // MARK: Turn

  var now: Instant
  var timer = TimerJudgement.idle
  let startedAt: Instant
  /// As `raft` was when last looked at, to notice what changed.
  var seenRole = Role.follower
  var seenLeader = NodeID.none
  var isStopping = false
  var hasFailed = false

  // MARK: Peers

  var frame = ByteBuffer(capacity: 1 << 16)
  /// Messages that wait for entries to be read from disk, by peer, in order.
  var deferred: [NodeID: Deque<Envelope>] = [:]
  var divergence = DivergenceWatch()
  /// The newest state hash each peer was told.
  var reportedIndex = LogIndex.zero

  // MARK: Apply and snapshots

  var appliedIndex: LogIndex { store.appliedIndex }
  /// Entries are being read from disk to be applied.
  var isLoadingEntries = false
  var outgoing: OutgoingSnapshot<D>?
  var incoming: IncomingSnapshot<D>?
  var dismantling: [Dismantler] = []
  var lastSnapshotSize = 0

  package enum TimerJudgement {
    case idle
    /// It fired; first the loop polls once more, so that buffered heartbeats are read (H1).
    case fired
    case polled
  }

  package init(
    settings: ReplicaSettings, opened: consuming OpenedStorage<D>, logger: Logger, seed: UInt64,
    clock: @escaping () -> Instant, wallClock: @escaping () -> UInt64
  ) {
    fatalError()
  }
}
