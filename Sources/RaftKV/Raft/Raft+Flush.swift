/// The end of a turn: everything that the turn has learned becomes one batch.
extension Raft {
  /// Completes `effects`. Call it after the turn's events, and again after performing its effects,
  /// until nothing is left to do.
  package mutating func flush(at now: Instant, into effects: inout Effects) {
    if role == .leader {
      stepLearners(at: now, into: &effects)
      advanceCommitIndex(at: now, into: &effects)
      sendTimeoutNowIfCaughtUp()
      beginRoundIfDue(at: now)
      for peer in leadership!.progress.indices { replicate(to: peer, at: now, into: &effects) }
      #if PLANTED_BUGS
      let confirmedBefore = leadership!.confirmedRound
      defer {
        if let confirmed = leadership?.confirmedRound, confirmed != confirmedBefore,
          PlantedBug.leaseFromReceipt.isActive
        {
          leadership!.confirmedAt = now
        }
      }
      #endif
      confirmRounds(into: &effects)
      stepDownIfRemoved(at: now, into: &effects)
    } else {
      acknowledgeIfDurable()
    }
    if let hardState = hardStateToWrite() { effects.hardState = hardState }
    if let ticket = logToWrite() { effects.logWrite = ticket }
    // Nothing that speaks of a term or a vote leaves before it is durable (A1).
    #if PLANTED_BUGS
    let isHolding = !isHardStateDurable && !outbox.isEmpty
    if isHolding && role == .follower && PlantedBug.voteBeforeDurable.isActive
      || isHolding && role == .candidate && PlantedBug.candidacyBeforeDurable.isActive
    {
      effects.messages.append(contentsOf: outbox)
      outbox.removeAll(keepingCapacity: true)
    }
    #endif
    guard isHardStateDurable else {
      if !outbox.isEmpty { CoverageMark.hit(.messagesWaitForTerm) }
      return
    }
    effects.messages.append(contentsOf: outbox)
    outbox.removeAll(keepingCapacity: true)
  }

  mutating func leaderDeadlinePassed(at now: Instant, into effects: inout Effects) {
    abortTransferIfLate(at: now, into: &effects)
    checkQuorum(at: now, into: &effects)
    // A due heartbeat is sent by the flush that ends this turn.
  }
}
