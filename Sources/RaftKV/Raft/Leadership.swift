/// What only a leader has (Figure 2, "volatile state on leaders"), made anew at each election.
package struct Leadership: Equatable, Sendable {
  /// One for every other member, in the configuration's order.
  package var progress: [Progress]
  /// The no-op that opened the term. Until it commits, no read and no
  /// configuration change (B8, D1).
  package let firstEntry: EntryID

  // Rounds: each heartbeat broadcast has a number, which replies echo. A quorum's echo confirms
  // leadership as of the send time of that round.

  /// The newest round begun.
  package var round: UInt64 = 0
  /// When each round that may still matter was sent, oldest first: rounds
  /// `round - roundTimes.count + 1 ... round`.
  package var roundTimes: [Instant] = []
  /// The newest round echoed by a quorum.
  package var confirmedRound: UInt64 = 0
  package var confirmedAt: Instant?
  /// Rounds up to here were begun under another configuration and give no lease (C4).
  package var leaseFloor: UInt64 = 0
  /// A TimeoutNow left in this term. It may arrive late and start an election that ignores
  /// stickiness, so this term has no lease any more.
  package var isLeaseForfeited = false

  // Reads (dissertation §6.4)

  /// The newest ticket given out.
  package var readTicket: UInt64 = 0
  /// Tickets up to here have a round.
  package var readTicketInRound: UInt64 = 0
  package var pendingReads: [PendingRead] = []

  package struct PendingRead: Equatable, Sendable {
    var through: UInt64
    var round: UInt64
    var index: LogIndex
  }

  package var heartbeatDue: Instant
  package var quorumCheckDue: Instant
  package var transfer: Transfer?
  /// When a leader whose disk is full may next offer the leadership to somebody.
  package var offerDue = Instant.zero

  package struct Transfer: Equatable, Sendable {
    package var target: NodeID
    package var deadline: Instant
    package var isTimeoutNowSent = false
  }

  package func index(of peer: NodeID) -> Int? { progress.index(of: peer) }
  package func progress(of peer: NodeID) -> Progress? { progress.first { $0.id == peer } }
}

/// Single facts, without a copy of anyone's progress, or of the leadership: each turn asks for
/// them, for every voter.
extension [Progress] {
  func index(of peer: NodeID) -> Int? { firstIndex { $0.id == peer } }
  func isConnected(to peer: NodeID) -> Bool {
    index(of: peer).map { self[$0].isConnected } ?? false
  }
  func round(of peer: NodeID) -> UInt64 { index(of: peer).map { self[$0].round } ?? 0 }
  func matchIndex(of peer: NodeID) -> LogIndex {
    index(of: peer).map { self[$0].matchIndex } ?? .zero
  }
}
