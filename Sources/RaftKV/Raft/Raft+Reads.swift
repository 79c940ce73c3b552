/// Linearizable reads without the log (dissertation §6.4): ReadIndex, and the lease.
extension Raft {
  /// Registers the reads of this turn; one round serves them all. They may be answered when
  /// `Effects.confirmedReads` reaches the ticket. A ticket dies with the
  /// leadership that gave it (C2).
  package mutating func requestRead() throws(Refusal) -> UInt64 {
    guard role == .leader else { throw .notLeader }
    #if PLANTED_BUGS
    if let last = leadership!.pendingReads.last, PlantedBug.readJoinsOldRound.isActive {
      return last.through
    }
    #endif
    if leadership!.readTicket == leadership!.readTicketInRound { leadership!.readTicket += 1 }
    return leadership!.readTicket
  }

  /// Begins a round with the end of this turn, or with the next heartbeat, and returns its number:
  /// whoever echoes it was there after this call. Only a leader may ask.
  package mutating func requestRound() -> UInt64 {
    _ = try? requestRead()
    return leadership!.round + 1
  }

  /// More rounds than these are not kept waiting at once: reads beyond share the next heartbeat's.
  private static let maximumOpenRounds = 256

  /// Begins a round when the heartbeat is due, or when reads wait for one. The round starts now,
  /// after the reads arrived (C1).
  mutating func beginRoundIfDue(at now: Instant) {
    #if PLANTED_BUGS
    let mayRead = hasCommittedInTerm || PlantedBug.readBeforeNoop.isActive
    #else
    let mayRead = hasCommittedInTerm
    #endif
    let isWaiting = leadership!.readTicket > leadership!.readTicketInRound
    if isWaiting, !mayRead { CoverageMark.hit(.readWaitsForNoop) }
    let hasReads = isWaiting && mayRead
    let mayHurry = leadership!.roundTimes.count < Self.maximumOpenRounds
    guard now >= leadership!.heartbeatDue || (hasReads && mayHurry) else { return }
    leadership!.round += 1
    leadership!.roundTimes.append(now)
    leadership!.heartbeatDue = now + parameters.heartbeatInterval
    if hasReads {
      // The commit index of a leader that has committed in its term is at least as new as every
      // write acknowledged before the reads arrived.
      leadership!.pendingReads.append(
        Leadership.PendingRead(
          through: leadership!.readTicket, round: leadership!.round, index: commitIndex))
      leadership!.readTicketInRound = leadership!.readTicket
    }
    for peer in leadership!.progress.indices where leadership!.progress[peer].isConnected {
      sendHeartbeat(to: peer)
    }
  }

  /// A round is confirmed when a majority of the voters has echoed it, or a newer one.
  mutating func confirmRounds(into effects: inout Effects) {
    let newest = leadership!.round
    let progress = leadership!.progress
    let agreed = Quorum(configuration.voters).agreed { voter in
      // Nobody can have heard of a round to come, whatever its answer claims.
      voter == id ? newest : min(progress.round(of: voter), newest)
    }
    guard let agreed, agreed > leadership!.confirmedRound else { return }
    let firstKept = newest + 1 - UInt64(leadership!.roundTimes.count)
    precondition(agreed >= firstKept, "rounds are confirmed once")
    leadership!.confirmedRound = agreed
    // The lease begins when the round was sent, not when its answers came (C4).
    leadership!.confirmedAt = leadership!.roundTimes[Int(agreed - firstKept)]
    leadership!.roundTimes.removeFirst(Int(agreed - firstKept) + 1)
    let confirmed =
      leadership!.pendingReads.firstIndex { $0.round > agreed } ?? leadership!.pendingReads.count
    guard confirmed > 0 else { return }
    if confirmed > 1 { CoverageMark.hit(.roundsConfirmedTogether) }
    let last = leadership!.pendingReads[confirmed - 1]
    effects.confirmedReads = ConfirmedReads(through: last.through, index: last.index)
    leadership!.pendingReads.removeFirst(confirmed)
  }

  /// Whether a read may be answered from local state now, stale by at most the lease. `now` must be
  /// a fresh reading of the clock (C5).
  package func hasLease(at now: Instant) -> Bool {
    // In place, not `guard let leadership`: that would copy it, for every read.
    guard hasCommittedInTerm else { return false }
    if leadership!.transfer != nil || leadership!.isLeaseForfeited {
      CoverageMark.hit(leadership!.transfer == nil ? .leaseForfeited : .leaseInTransfer)
      #if PLANTED_BUGS
      if !PlantedBug.leaseOutlivesTransfer.isActive { return false }
      #else
      return false
      #endif
    }
    let voters = configuration.voters
    if voters.count == 1, voters[0] == id { return true }
    guard let confirmedAt = leadership!.confirmedAt,
      leadership!.confirmedRound > leadership!.leaseFloor
    else {
      CoverageMark.hit(.leaseNotBegun)
      return false
    }
    guard now < confirmedAt + parameters.leaseDuration else {
      CoverageMark.hit(.leaseOver)
      return false
    }
    // The price of fast failover: followers that see our process die do not wait for the lease, and
    // our connections to them die with it.
    let progress = leadership!.progress
    return Quorum(voters).holds { voter in voter == id || progress.isConnected(to: voter) }
  }
}
