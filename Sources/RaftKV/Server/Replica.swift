import DequeModule

/// One node: the engine, its log, the state machine, and the clients that wait. It drives `Raft` as
/// `Effects` says, over a disk and a transport that the simulator replaces.
///
/// Callbacks record what happened; `endTurn` acts on it. Reading order: this file,
/// `Replica+Requests` (what clients ask), `Replica+Turn` (what a turn does), `Replica+Apply`,
/// `Replica+Peers`, `Replica+Snapshots`, `Replica+Administration`.
package final class Replica<D: Disk, T: Transport, Replies: ReplySink> {
  var settings: ReplicaSettings
  let logger: Logger
  let clock: () -> Instant
  /// Milliseconds since 1970, for the clock that commands carry. Nothing else looks at it.
  let wallClock: () -> UInt64

  package internal(set) var raft: Raft
  var effects = Effects()
  /// Those that are being performed. Invariant: empty in between.
  var performing = Effects()
  package let log: LogStore<D>
  let hardStateStore: HardStateStore<D>
  let snapshots: SnapshotStore<D>
  let identities: IdentityStore<D>
  package let store: KeyValueStore
  /// Random per start: tells this process from one that ran here before.
  package let nonce: UInt64

  /// Wired once, at start, and taken away at the end: they hold this replica too.
  package var transport: T!
  package var replies: Replies!
  /// The loop shall come round again at once: there is work left.
  package var requestAnotherTurn: () -> Void = {}
  /// The node must end. Called at most once.
  package var onFatal: (FatalError) -> Void = { _ in }

  // MARK: Clients

  var writes = PendingReplies()
  var reads = PendingReads()
  /// Since when a client could not be served nor sent anywhere; nil while it could.
  var leaderlessSince: Instant?
  /// Reads that were waiting for a quorum when leadership was lost: they go to the next leader.
  var homeless: [RequestToken] = []
  /// Requests held until leadership is settled. At most `maximumHeld`.
  var heldCount = 0
  var command = ByteBuffer()
  var administration = Administration()
  /// Another cluster's nodes take us for their member: this one was bootstrapped by mistake.
  var isInOtherCluster = false
  package internal(set) var isStopping = false
  /// While stopping: a successor was asked to take over.
  var hasHandedOver = false

  package internal(set) var metrics = ReplicaMetrics()
  /// For `/readyz`.
  var commitMarks = CommitMarks()

  // MARK: Turn

  /// The clock as of the last event.
  package internal(set) var now: Instant
  var timer = TimerJudgement.idle
  let startedAt: Instant
  var hasFailed = false
  /// As it was when last looked at, to notice what changed.
  var seenRole = Role.follower
  var seenTerm = Term.zero
  var seenLeader = NodeID.none
  /// False at the start, and after every change.
  var hasSeenConfiguration = false
  var hasBeenMember = false

  // MARK: Peers

  var frame = ByteBuffer(capacity: 1 << 16)
  /// Entries were sent since messages were last flushed.
  var hasSentEntries = false
  /// Messages that wait for entries to be read from disk, by peer, in order.
  var deferred: [NodeID: Deque<Envelope>] = [:]
  /// What members have said of themselves last. Their order never matters.
  var advertised: [NodeID: Advertisement] = [:]
  /// What a hello said whose sender is connected, and named a membership that we did not know of.
  var unplaced: [NodeID: (said: Addresses, memberSince: LogIndex)] = [:]
  /// What a configuration entry has said of us since our start; it counts more than our flags.
  var givenAddresses: RecordedAddresses?
  /// By our own log; nil before that was looked at.
  var startedAsMember: Bool?
  /// Our addresses in the configuration last looked at.
  var recordedAddresses: RecordedAddresses?
  /// When somebody last failed to take the leadership over.
  var transferFailed: Instant?
  var divergence = DivergenceWatch()
  /// When to look again whether the leader's process is gone.
  var probeAgain: Instant?
  /// The cluster's id is being written.
  var isAdopting = false

  // MARK: Apply and snapshots

  package var appliedIndex: LogIndex { store.appliedIndex }
  /// Entries are being read from disk to be applied.
  var isLoadingEntries = false
  /// A batch of the log that was read for that, and is applied slice by slice.
  var loaded = ByteBuffer()
  /// The snapshot of our own that is being written.
  var outgoing: OutgoingSnapshot<D>?
  /// The snapshot that the leader is sending us.
  var incoming: IncomingSnapshot<D>?
  /// The file of the snapshot that the engine knows. `snapshots.current` may be ahead of it, and
  /// its name on disk gone.
  package internal(set) var adopted: SnapshotFile<D>?
  /// Snapshots that are being sent, by receiver: kept open though a newer one may take their place.
  var sending: [NodeID: SnapshotFile<D>] = [:]
  var chunkReads = ReadsUnderWay()
  var dismantler = Dismantler()
  /// None of our own is begun before this: the last one could not be written, or gave way to one of
  /// the leader's.
  var nextSnapshotAttempt: Instant
  /// It found no space; the next one gets what the ballast takes.
  var hasLackedSpace = false

  enum TimerJudgement {
    case idle
    /// It fired; first the loop polls once more, so that buffered heartbeats are read (H1).
    case fired
    case polled
  }

  package init(
    settings: ReplicaSettings, recovered: consuming RecoveredNode<D>, logger: Logger, seed: UInt64,
    clock: @escaping () -> Instant, wallClock: @escaping () -> UInt64
  ) {
    self.settings = settings
    self.logger = logger
    self.clock = clock
    self.wallClock = wallClock
    var random = Random(seed: seed)
    nonce = random.next()
    now = clock()
    startedAt = now
    nextSnapshotAttempt = now
    log = recovered.log
    hardStateStore = recovered.hardState
    snapshots = recovered.snapshots
    adopted = recovered.snapshots.current
    identities = recovered.identity
    store = KeyValueStore(recovered.state, hashInterval: UInt64(settings.stateHashInterval))
    raft = Raft(
      id: recovered.identity.identity.node, parameters: settings.parameters,
      recovered: recovered.raft, seed: random.next(), at: now)
    log.didPersist = { [unowned self] in didPersist(ticket: $0) }
    hardStateStore.didPersist = { [unowned self] in didPersistHardState($0) }
    let onFailure: (StorageFailure) -> Void = { [unowned self] failure in
      fail(failure.description, failure.isCorruption ? .corruptData : .diskFailure)
    }
    log.onFailure = onFailure
    hardStateStore.onFailure = onFailure
    snapshots.onFailure = onFailure
    identities.onFailure = onFailure
  }

  package var identity: Identity { identities.identity }

  /// What may change while the node runs.
  package func setLimits(snapshotEntries: Int, snapshotBytes: Int) {
    settings.snapshotEntries = snapshotEntries
    settings.snapshotBytes = snapshotBytes
  }
}
