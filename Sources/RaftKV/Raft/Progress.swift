/// What a leader knows of one other member's log.
package struct Progress: Equatable, Sendable {
  package enum State: Equatable, Sendable {
    /// Looking for the point where the logs agree: one AppendEntries at a time.
    case probe
    /// In agreement: entries are pipelined.
    case replicate
    /// What it needs next is compacted; a snapshot is on its way, one chunk at a time.
    case snapshot(SnapshotProgress)
  }

  package struct SnapshotProgress: Equatable, Sendable {
    package var lastEntry: EntryID
    package var total: UInt64
    /// The next offset the follower wants; bytes before it are on its disk.
    package var offset: UInt64
    /// When the chunk at `offset` was last sent; nil: to be sent.
    package var sentAt: Instant?
  }

  private struct InFlight: Equatable, Sendable {
    var last: LogIndex
    var bytes: Int
  }

  package let id: NodeID
  package private(set) var state = State.probe
  /// Known to be durable there and equal to ours. Rises only (B5).
  package private(set) var matchIndex = LogIndex.zero
  /// The next index to send. Invariant: matchIndex < nextIndex <= lastIndex + 1. While replicating,
  /// entries in matchIndex + 1 ..< nextIndex are in flight.
  package private(set) var nextIndex: LogIndex
  /// Sent and not acknowledged, oldest first. At most `windowMessages`.
  private var inFlight: [InFlight] = []
  package private(set) var bytesInFlight = 0
  /// The newest round when entries last left.
  private var sentRound: UInt64 = 0
  /// While probing: one request is out, and its answer or a heartbeat's is awaited (B13).
  package var isProbeSent = false
  /// While probing: for want of room it refused what comes after this entry.
  package var refusedAfter: LogIndex?
  package var refusesNext: Bool { refusedAfter.map { matchIndex <= $0 } ?? false }
  /// The last entry that the newest probe carried, and the newest round when it left.
  private var probeEnd = LogIndex.zero
  private var probeRound: UInt64 = 0
  /// The newest commit index this member was told.
  package var commitSent = LogIndex.zero
  /// When anything of our term last came from it.
  package var lastContact: Instant
  /// The newest round it has echoed.
  package private(set) var round: UInt64 = 0
  package var isConnected: Bool
  /// Its disk is full: not a candidate for leadership.
  package var isFull = false
  /// While a learner: the catch-up round (dissertation §4.2.1).
  package var catchUp: CatchUp

  package struct CatchUp: Equatable, Sendable {
    /// Our last index when the round began.
    package var target: LogIndex
    package var startedAt: Instant
    /// When its match index or snapshot offset last rose.
    package var lastProgress: Instant
  }

  package init(id: NodeID, lastIndex: LogIndex, isConnected: Bool, at now: Instant) {
    self.id = id
    nextIndex = lastIndex.next
    lastContact = now
    self.isConnected = isConnected
    catchUp = CatchUp(target: lastIndex, startedAt: now, lastProgress: now)
  }

  package var messagesInFlight: Int { inFlight.count }

  /// Advances the match index; returns whether it moved. `nextIndex` never falls behind it.
  package mutating func acknowledge(through index: LogIndex, at now: Instant) -> Bool {
    releaseInFlight(through: index)
    guard index > matchIndex else { return false }
    matchIndex = index
    nextIndex = max(nextIndex, index.next)
    catchUp.lastProgress = now
    return true
  }

  package mutating func acknowledge(round: UInt64) { self.round = max(self.round, round) }

  /// Where an earlier probe had got to is kept: a new leader, which knows no match yet, must not
  /// send its whole log to a follower that merely reconnects.
  package mutating func becomeProbe() {
    if state != .probe { nextIndex = matchIndex.next }
    state = .probe
    isProbeSent = false
    refusedAfter = nil
    forgetInFlight()
  }

  /// What the probe carried is taken to have arrived with it, though its disk may not be done with
  /// it. Were it lost after all, the next answer to a heartbeat would show the gap.
  package mutating func becomeReplicate() {
    state = .replicate
    nextIndex = max(matchIndex, probeEnd).next
    probeEnd = .zero
    forgetInFlight()
  }

  package mutating func didProbe(through last: LogIndex, round: UInt64) {
    isProbeSent = true
    probeEnd = last
    probeRound = round
  }

  /// It took nothing after `index`, and acknowledges what it took before that.
  package mutating func didRefuse(after index: LogIndex) {
    refusedAfter = index
    isProbeSent = true
    probeEnd = .zero
  }

  /// Whether the newest probe went up to here, or farther.
  package func isOfProbe(_ index: LogIndex) -> Bool {
    index >= nextIndex.previous && index <= max(probeEnd, nextIndex.previous)
  }

  /// A heartbeat of this round was answered: what was sent before it has arrived, or never will.
  package mutating func retryProbe(before round: UInt64) {
    if round > probeRound { isProbeSent = false }
  }

  /// Likewise for what is in flight: whether all of it was sent before this round began.
  package func wasAllSent(before round: UInt64) -> Bool { round > sentRound }

  package mutating func becomeSnapshot(_ snapshot: SnapshotProgress) {
    state = .snapshot(snapshot)
    probeEnd = .zero
    forgetInFlight()
  }

  package mutating func updateSnapshot(_ change: (inout SnapshotProgress) -> Void) {
    guard case .snapshot(var snapshot) = state else { return }
    change(&snapshot)
    state = .snapshot(snapshot)
  }

  /// The probe at `nextIndex - 1` was refused: go back to `index`, but never below what is known.
  package mutating func probe(after index: LogIndex) {
    nextIndex = max(index, matchIndex).next
    isProbeSent = false
    probeEnd = .zero
  }

  /// Entries up to `last` were sent, optimistically.
  package mutating func didSend(through last: LogIndex, bytes: Int, round: UInt64) {
    if state == .replicate {
      nextIndex = last.next
      sentRound = round
      inFlight.append(InFlight(last: last, bytes: bytes))
      bytesInFlight += bytes
    }
  }

  private mutating func releaseInFlight(through index: LogIndex) {
    var released = 0
    while released < inFlight.count, inFlight[released].last <= index {
      bytesInFlight -= inFlight[released].bytes
      released += 1
    }
    inFlight.removeFirst(released)
  }

  private mutating func forgetInFlight() {
    inFlight.removeAll(keepingCapacity: true)
    bytesInFlight = 0
  }
}
