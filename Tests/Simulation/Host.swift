import RaftKV

/// One machine: what outlives a process.
final class Host {
  let index: Int
  let name: String
  /// Changes when the node moves.
  var raftAddress: String
  let httpAddress: String
  var disk: SimulatedDisk
  var clock: SimulatedClock
  /// Counts starts: what was meant for an earlier process finds that it is gone.
  var epoch = 0
  var process: Process?
  /// Whether the machine itself is down: it does not even refuse connections.
  var isPoweredOff = false
  /// When it was last paused or lost power; nil while it can be heard.
  var silentSince: UInt64?
  /// Stopped (SIGSTOP): what comes in waits here. Counts the faults that hold it.
  var pauses = 0
  var inbox: [Occurrence] = []
  /// What lay in its sockets when it went on, and a poll has not read yet.
  var unread: ArraySlice<Occurrence> = []
  /// Kept down by a fault, or by the liveness phase.
  var isHeldDown = false
  /// A restart is planned; there is one at a time.
  var startsAt: UInt64?
  /// Its data is gone: it waits to be removed and joined anew.
  var isWiped = false
  /// There is rot on its disk, seen or not: it may refuse to start, or stop, and is then replaced.
  var damagedFile: String?
  /// The operator removed it, and will join it again.
  var isAway = false
  /// How it dies when its disk says so.
  var crashPlan = (losingPower: false, downTime: Duration.second)
  /// What its log ended with when it was last seen to run.
  var lastConfiguration = Configuration.empty
  /// Whether that was on its disk.
  var hadDurableConfiguration = true
  var makesCluster: Bool
  /// What it has promised to others, to be found on its disk after any crash.
  var promise = Promise()

  init(index: Int, disk: SimulatedDisk, clock: SimulatedClock) {
    self.index = index
    name = "n\(index + 1)"
    raftAddress = "n\(index + 1):1"
    httpAddress = "n\(index + 1):80"
    self.disk = disk
    self.clock = clock
    makesCluster = index == 0
  }

  var isPaused: Bool { pauses > 0 }
  /// Nothing may depend on its data.
  var isDamaged: Bool { damagedFile != nil }
  var isLost: Bool { isWiped || isDamaged }
}

/// What a node must still know after a crash: the term and vote that it has sent, and the entries
/// that it has acknowledged.
struct Promise {
  var node = NodeID.none
  var term = Term.zero
  var votedFor = NodeID.none
  var persisted = EntryID.zero
  /// The chain up to `persisted`; nil where it lies under a snapshot.
  var chain: UInt64?
}

/// One life of a node: the production replica, wired to a simulated world.
final class Process {
  typealias Node = Replica<SimulatedDisk, SimulatedTransport, ClientPort>

  let epoch: Int
  let replica: Node
  let transport: SimulatedTransport
  let port: ClientPort
  var wantsTurn = false
  var isTurnPlanned = false
  /// When the earliest planned wake-up comes.
  var wakesAt = UInt64.max
  var fatal: FatalError?
  /// The disk's count when this process began: only errors since excuse its end.
  let injectedErrorsBefore: Int
  /// What the log holds, as the checker has seen it.
  var mirror: LogMirror
  var watermarks: Raft.Watermarks?
  var seenRole = Role.follower
  var seenTerm = Term.zero
  var seenConfirmedAt: Instant?
  var seenClock: UInt64 = 0
  var seenDurableTerm = Term.zero
  var seenConfiguration = LogIndex.zero
  var seenSnapshot: EntryID?
  var hadSnapshotAhead = false
  var seenApplied = LogIndex.zero
  var specified: TransitionRelation.State?
  /// A leader of a past term that was heard in this term, and has no answer yet.
  var unanswered: (leader: NodeID, term: Term)?
  /// When it last went on after it had stood still; and while it reads what came meanwhile, whether
  /// that was far too long.
  var resumedAt: UInt64 = 0
  var hasStoodStill = false
  /// By host: the match index that was last compared with its disk.
  var seenMatch: [LogIndex]

  /// Whether its newest configuration entry would survive a crash.
  var hasDurableConfiguration: Bool {
    replica.raft.configurations.currentIndex <= replica.raft.persistedIndex
  }

  init(
    epoch: Int, replica: Node, transport: SimulatedTransport, port: ClientPort, mirror: LogMirror,
    hostCount: Int, injectedErrors: Int
  ) {
    self.epoch = epoch
    self.replica = replica
    self.transport = transport
    self.port = port
    self.mirror = mirror
    seenMatch = Array(repeating: .zero, count: hostCount)
    injectedErrorsBefore = injectedErrors
  }
}
