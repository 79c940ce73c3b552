import RaftKV

/// Rules whose breach seldom does harm at once: each of them is one that lost data somewhere, once
/// something else came to it.
extension World {
  /// Nobody keeps the world busy without letting time go on.
  func checkProgress(to time: UInt64) {
    eventsNow = time == now ? eventsNow + 1 : 0
    if eventsNow > 100_000 { fail(.bounds, "time stands still: 100000 events in one moment") }
  }

  /// What was refused may be tried elsewhere, and what became of the rest is not asked twice; so no
  /// value is written twice (I1).
  func checkOnce(_ value: UInt64, _ id: EntryID) {
    guard value != 0, !checker.written.insert(value).inserted else { return }
    fail(
      .linearizability,
      "value \(value) is committed again, at \(id): its client heard that it was not accepted")
  }

  /// A lease rests on a majority of voters who help nobody against the leader until it is over,
  /// whatever the clocks do meanwhile (C4, C7, A16, H5). Who is down, comes back and waits.
  func checkLease(of host: Host, _ process: Process) {
    guard let confirmedAt = process.replica.raft.confirmedAt,
      process.replica.raft.hasLease(at: host.clock.instant(at: now))
    else { return }
    let voters = process.replica.raft.configuration.voters
    let end = host.clock.time(of: confirmedAt + swarm.parameters.leaseDuration)
    let holders = voters.filter { $0 == process.replica.raft.id || sticks($0, until: end) }
    guard holders.count <= voters.count / 2 else { return }
    fail(
      .leaseBound,
      "\(host.name) has a lease for \((end - now) / Duration.millisecond) ms, and only "
        + "\(holders.count) of \(voters.count) voters wait so long")
  }

  private func sticks(_ voter: NodeID, until end: UInt64) -> Bool {
    guard let host = hosts.first(where: { $0.promise.node == voter }), let process = host.process
    else { return true }
    return host.clock.time(of: process.replica.raft.sticksUntil) >= end
  }

  func checkLeases() {
    for host in hosts {
      guard let process = host.process, process.replica.raft.role == .leader else { continue }
      checkLease(of: host, process)
    }
  }

  /// A read is confirmed by a round that began after it was called (C1).
  func checkRound(_ request: Request, calledAt: UInt64) {
    let host = hosts[request.host]
    guard let confirmedAt = host.process?.replica.raft.confirmedAt,
      host.clock.time(of: confirmedAt) < calledAt
    else { return }
    fail(
      .linearizability,
      "\(host.name) answers a consistent read, and its last round is older than that")
  }

  /// Only whom the leader of the term before has asked campaigns without a pre-vote (E4).
  func noteTransfer(_ envelope: Envelope) {
    checker.transfers.insert(Checker.Vote(voter: envelope.to, term: envelope.term.next))
  }

  func checkTransfer(_ envelope: Envelope) {
    let vote = Checker.Vote(voter: envelope.from, term: envelope.term)
    guard !checker.transfers.contains(vote) else { return }
    fail(
      .calm, "\(envelope.from) campaigns for term \(envelope.term) as if a leader had asked it to")
  }

  /// A hand-over succeeds within an election timeout, or is given up: nothing is written meanwhile
  /// (E1). Who stood still is given another one to notice.
  func checkHandOver(_ host: Host, _ process: Process) {
    guard let transfer = process.replica.raft.leadership?.transfer else { return }
    let timeout = swarm.parameters.electionTimeout
    let instant = host.clock.instant(at: now)
    let isEndless = transfer.deadline > instant + timeout
    let isOverdue =
      instant > transfer.deadline && instant - transfer.deadline > timeout
      && now - process.resumedAt > timeout.nanoseconds * 2
    if isEndless || isOverdue {
      fail(.bounds, "\(host.name) does not give up handing over to \(transfer.target)")
    }
  }

  /// A leader of a past term is told of ours by whoever hears it (§5.1): where a node that has gone
  /// ahead kept silent, it could never come back (A11).
  func willReceive(_ envelope: Envelope, at index: Int) {
    guard let process = hosts[index].process, envelope.to == process.replica.raft.id,
      envelope.term < process.replica.raft.currentTerm
    else { return }
    switch envelope.message {
    case .append, .heartbeat, .snapshotChunk:
      process.unanswered = (envelope.from, process.replica.raft.currentTerm)
    default: break
    }
  }

  /// At the end of a turn the answer has left, unless its term is not durable yet.
  func checkAnswered(_ host: Host, _ process: Process) {
    guard let (leader, term) = process.unanswered, process.fatal == nil else { return }
    guard process.replica.raft.currentTerm == term, process.transport.isConnected(leader) else {
      process.unanswered = nil
      return
    }
    guard process.replica.raft.isHardStateDurable else { return }
    fail(.transition, "\(host.name) does not tell \(leader), who led once, of term \(term)")
  }

  /// Who stood still for long reads what its leader said meanwhile before it campaigns (H1).
  func checkStall(_ host: Host, _ process: Process) {
    guard process.hasStoodStill, process.replica.raft.deadLeader == .none else { return }
    let term = process.replica.raft.currentTerm
    let isHeard = host.unread.contains {
      guard case .packet(let packet) = $0, case .message(let envelope, _, _) = packet.content
      else { return false }
      return envelope.term == term && envelope.from == checker.leaders[term]
    }
    if isHeard { fail(.calm, "\(host.name) campaigns, and has not read what its leader said") }
  }

  /// Nobody is told of a removal that may yet be taken back (D7).
  func checkRemoval(_ index: LogIndex, _ host: Host) {
    guard let commit = host.process?.replica.raft.commitIndex, index > commit else { return }
    fail(.configurationStep, "\(host.name) says that \(index) removes a node, and has \(commit)")
  }

  /// The log on the disk never holds a term that the hard state on the disk does not (A1).
  func observeDurableTerm(_ host: Host, _ process: Process) {
    let term = host.disk.durableLog.lastTerm
    guard term > process.seenDurableTerm else { return }
    process.seenDurableTerm = term
    guard let hardState = host.disk.durableHardState, hardState.term < term else { return }
    fail(
      .durability,
      "\(host.name) has an entry of term \(term) on its disk, and knows of term \(hardState.term)")
  }

  /// The replicated clock, by which things will expire, never goes back (H4).
  func observeClock(_ host: Host, _ process: Process) {
    let clock = process.replica.store.clock
    if clock < process.seenClock { fail(.monotone, "\(host.name): the replicated clock fell") }
    process.seenClock = clock
  }

  /// What must be true of every node once all is healed, though nothing may ask for it for long.
  func checkFitness() {
    for host in hosts {
      guard let process = host.process else { continue }
      let configuration = process.replica.raft.configuration
      if configuration.isVoter(process.replica.raft.id), !process.replica.raft.mayCampaign {
        fail(.convergence, "\(host.name) is a voter and would never campaign")
      }
      if process.replica.raft.leadership?.transfer != nil {
        fail(.convergence, "\(host.name) is still handing its leadership over")
      }
      if process.replica.raft.storage != .healthy {
        fail(.convergence, "\(host.name) takes its disk to be \(process.replica.raft.storage)")
      }
      for other in hosts where !knows(configuration, moveOf: other) {
        fail(
          .convergence,
          "\(host.name) does not know that \(other.name) moved to \(other.raftAddress): it says "
            + "\(other.process?.replica.localIdentity.raftAddress ?? "nothing")")
      }
    }
  }

  /// A move is recorded after a dial, and one that was lost is tried again after a while.
  var areMovesKnown: Bool {
    hosts.allSatisfy { host in
      guard let process = host.process else { return true }
      return hosts.allSatisfy { knows(process.replica.raft.configuration, moveOf: $0) }
    }
  }

  func knows(_ configuration: Configuration, moveOf host: Host) -> Bool {
    configuration.member(host.promise.node)?.raftAddress == host.raftAddress
  }
}
