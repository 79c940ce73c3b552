/// The Raft algorithm as a value: events in, effects out. It does no I/O, reads no clock and sees
/// no payloads, so the same code runs under a network and under a simulator.
///
/// Reading order: this file (state), `Raft+Receive` (which message goes where), `Raft+Election`,
/// `Raft+Replication` (leader), `Raft+Following` (follower), `Raft+Persistence`, `Raft+Flush` (what
/// leaves at the end of a turn), then `+Reads`, `+Membership`, `+Transfer`, `+Snapshots`. Section
/// numbers (§) are those of the extended Raft paper; "dissertation" is Ongaro's.
package struct Raft: ~Copyable {
  package let id: NodeID
  package let parameters: Parameters
  var random: Random

  // MARK: Persistent state on all servers (Figure 2)

  package internal(set) var currentTerm: Term
  /// Cleared only when the term rises, never on a change of role within a term (A2).
  package internal(set) var votedFor: NodeID
  package internal(set) var outline: LogOutline
  package internal(set) var configurations: ConfigurationHistory
  /// The newest durable snapshot of this node; what a follower too far behind is sent.
  package internal(set) var snapshot: SnapshotInfo?

  // MARK: How much of it is durable (Raft+Persistence)

  var durableHardState: HardState
  var hardStateInFlight: HardState?
  /// Entries up to here are durable. Invariant: persistedIndex <= lastIndex.
  package internal(set) var persistedIndex: LogIndex
  var logWrites: [LogWrite] = []
  var lastTicket: UInt64 = 0
  /// There are log edits that no ticket covers yet.
  var hasUnwrittenEdits = false
  /// Messages that wait for the hard state, and what this turn has to say.
  var outbox: [Envelope] = []

  // MARK: Volatile state on all servers

  package internal(set) var commitIndex: LogIndex
  package internal(set) var role = Role.follower
  /// The leader of `currentTerm`, once known.
  package internal(set) var leader = NodeID.none
  /// A leader has said that a committed configuration lacks us; we no longer campaign (D7).
  package internal(set) var removedBy: LogIndex?
  package internal(set) var storage = StorageHealth.healthy
  /// The nodes that we have asked to take over since we last followed a leader.
  var askedInVain: [NodeID] = []

  // MARK: Elections

  /// When this node campaigns unless it hears from a leader. Drawn anew at each reset (A13).
  var electionDeadline: Instant
  /// When a leader of `currentTerm` was last heard; nil when none was, or
  /// when it is known to be dead.
  package internal(set) var lastLeaderContact: Instant?
  /// A restarted voter has forgotten when it last heard a leader, which may still hold a lease: it
  /// grants nothing for one election timeout (A16).
  let votesNotBefore: Instant
  /// The leader's process is known to be gone: refused pre-votes are tried again soon.
  package internal(set) var deadLeader = NodeID.none
  /// Before the next campaign, see once more whether it is really gone.
  var mustProbeDeadLeader = false
  /// Answers in this campaign. Counted against the voters of the configuration in force (A7).
  var votes: [(voter: NodeID, granted: Bool)] = []
  /// This campaign was asked for by a leader that hands over (dissertation §3.10).
  var isTransferCampaign = false

  // MARK: Following

  /// Entries up to here agree with the current leader's log, by its own
  /// AppendEntries of this term (B3).
  var verifiedIndex = LogIndex.zero
  var acknowledgedIndex = LogIndex.zero
  var owesAcknowledgement = false
  /// The newest round of the current leader.
  var roundHeard: UInt64 = 0
  /// The newest of them whose heartbeat was answered.
  var roundAnswered: UInt64 = 0
  var incomingSnapshot: IncomingSnapshot?

  /// Peers with a message connection, as the driver tells.
  var connected: [NodeID] = []

  // MARK: Leading

  /// Beside the role, not inside it: edited in place, never copied out. Invariant: non-nil
  /// exactly when `role == .leader`.
  package internal(set) var leadership: Leadership?

  package enum StorageHealth: Equatable, Sendable {
    case healthy
    /// No room for more commands: refuse them, and campaign only after everyone else had
    /// the chance. Not never: a cluster whose disks are all full must still elect
    /// someone to read and delete.
    case full
    /// A write hangs: do not lead.
    case hung
  }

  package struct SnapshotInfo: Equatable, Sendable {
    package var lastEntry: EntryID
    /// Bytes of the file.
    package var total: UInt64
    package init(lastEntry: EntryID, total: UInt64) {
      self.lastEntry = lastEntry
      self.total = total
    }
  }

  struct IncomingSnapshot: Equatable {
    var lastEntry: EntryID
    var total: UInt64
    /// Bytes before it are handed to the disk.
    var offset: UInt64
    var isStoring: Bool
  }

  /// What recovery found on the disk.
  package struct Recovered {
    package var hardState: HardState
    /// The entry before the first one of the log.
    package var base: EntryID
    package var entries: [EntryHeader]
    package var snapshot: SnapshotInfo?
    /// The snapshot's configuration, or empty at index 0.
    package var configuration: ConfigurationHistory.Item

    package init(
      hardState: HardState = HardState(), base: EntryID = .zero, entries: [EntryHeader] = [],
      snapshot: SnapshotInfo? = nil,
      configuration: ConfigurationHistory.Item = .init(index: .zero, configuration: .empty)
    ) {
      self.hardState = hardState
      self.base = base
      self.entries = entries
      self.snapshot = snapshot
      self.configuration = configuration
    }
  }

  package init(
    id: NodeID, parameters: Parameters, recovered: Recovered, seed: UInt64, at now: Instant
  ) {
    precondition(id != .none, "a node has an incarnation")
    self.id = id
    self.parameters = parameters
    random = Random(seed: seed)
    currentTerm = recovered.hardState.currentTerm
    votedFor = recovered.hardState.votedFor
    durableHardState = recovered.hardState
    snapshot = recovered.snapshot
    outline = LogOutline(base: recovered.base)
    configurations = ConfigurationHistory(base: recovered.configuration)
    for header in recovered.entries {
      outline.append(term: header.term, size: Int(header.size))
      #if PLANTED_BUGS
      let isConfiguration = header.configuration != nil
      if isConfiguration, PlantedBug.configurationForgottenAtStart.isActive { continue }
      #endif
      // The kept tail may reach back before the snapshot; its older configurations are history.
      if let configuration = header.configuration, outline.lastIndex > configurations.currentIndex {
        configurations.append(configuration, at: outline.lastIndex)
      }
    }
    persistedIndex = outline.lastIndex
    commitIndex = max(outline.base.index, recovered.snapshot?.lastEntry.index ?? .zero)
    precondition(outline.lastEntry.term <= currentTerm, "the log is ahead of the durable term")
    precondition(commitIndex <= outline.lastIndex, "the snapshot is ahead of the log")

    #if PLANTED_BUGS
    let isNew = currentTerm == .zero || PlantedBug.noRestartWait.isActive
    #else
    let isNew = currentTerm == .zero
    #endif
    votesNotBefore = isNew ? now : now + parameters.electionTimeout
    electionDeadline = .distantFuture
    let isAlone = configurations.current.voters == [id]
    electionDeadline = isAlone ? now : drawElectionDeadline(after: now)
  }

  // MARK: Facts

  package var configuration: Configuration { configurations.current }
  package var lastIndex: LogIndex { outline.lastIndex }
  package var isHardStateDurable: Bool { durableHardState == hardState }
  package var hardState: HardState { HardState(currentTerm: currentTerm, votedFor: votedFor) }
  /// Entries up to here are committed and on our own disk: apply them, in order.
  package var applicableIndex: LogIndex {
    #if PLANTED_BUGS
    if commitIndex < lastIndex, PlantedBug.appliesUncommitted.isActive { return lastIndex }
    #endif
    return min(commitIndex, persistedIndex)
  }
  /// An entry of our own term is committed: reads and configuration changes may go on (B8, C1, D1).
  package var hasCommittedInTerm: Bool {
    guard let first = leadership?.firstEntry.index else { return false }
    return commitIndex >= first
  }
  /// Takes part in elections, unless its disk is in trouble: a voter, not known to be removed.
  ///
  /// A voter whose removal is in its log but not known to be committed is still one: the others may
  /// lack that entry and refuse to elect anyone whose log is shorter (dissertation §4.2.2). It asks
  /// for votes without counting its own.
  var isElectable: Bool {
    guard removedBy == nil else { return false }
    if configuration.isVoter(id) { return true }
    return configurations.currentIndex > commitIndex
      && configurations.previous?.isVoter(id) ?? false
  }
  package var mayCampaign: Bool { isElectable && storage != .hung }

  /// When the engine next wants to be woken through `deadlinePassed`. There are no ticks.
  package var deadline: Instant {
    guard let leadership else {
      return isElectable ? electionDeadline : .distantFuture
    }
    var earliest = min(leadership.heartbeatDue, leadership.quorumCheckDue)
    if let transfer = leadership.transfer { earliest = min(earliest, transfer.deadline) }
    return earliest
  }

  mutating func drawElectionDeadline(after now: Instant) -> Instant {
    let shortest = storage == .full ? parameters.electionTimeout * 3 : parameters.electionTimeout
    return now + random.interval(from: shortest, to: shortest + parameters.electionTimeout)
  }

  /// While a hard-state write is under way, this much waits for it. A disk that hangs must not make
  /// the queue grow without bound, and a lost message is always allowed.
  private static let maximumHeldMessages = 1024

  mutating func send(_ message: Message, to peer: NodeID, term: Term? = nil) {
    guard isHardStateDurable || outbox.count < Self.maximumHeldMessages else { return }
    outbox.append(Envelope(from: id, to: peer, term: term ?? currentTerm, message: message))
  }
}
