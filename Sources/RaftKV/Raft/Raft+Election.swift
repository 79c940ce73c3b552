/// Elections (§5.2, §5.4.1), pre-vote (dissertation §9.6) and check-quorum (dissertation §6.2).
extension Raft {
  // MARK: Roles

  /// The one door between roles. Edges are those of Figure 4, with the pre-candidate
  /// between follower and candidate.
  mutating func become(
    _ role: Role, in term: Term, because reason: StepDownReason? = nil, at now: Instant,
    into effects: inout Effects
  ) {
    precondition(term >= currentTerm, "terms only rise")
    switch (self.role, role) {
    case (_, .follower), (.follower, .preCandidate), (.preCandidate, .preCandidate): break
    case (.candidate, .preCandidate): break  // A lost election is tried again politely.
    case (.follower, .candidate), (.preCandidate, .candidate), (.candidate, .candidate): break
    case (.candidate, .leader): break
    default: preconditionFailure("no way from \(self.role) to \(role)")
    }
    if self.role == .leader, let reason { effects.notices.append(.steppedDown(term, reason)) }
    let isChange = self.role != role || term > currentTerm
    if term > currentTerm {
      currentTerm = term
      #if PLANTED_BUGS
      if !PlantedBug.voteKeptAcrossTerms.isActive { votedFor = .none }
      #else
      votedFor = .none
      #endif
      leader = .none
      deadLeader = .none
      // What was said in the old term is void; a lost message is always allowed.
      outbox.removeAll { $0.term < term }
      verifiedIndex = .zero
      acknowledgedIndex = .zero
      owesAcknowledgement = false
      roundHeard = 0
      roundAnswered = 0
      incomingSnapshot = nil
    }
    if self.role == .leader {
      leadership = nil
      leader = .none
      lastLeaderContact = nil
    }
    #if PLANTED_BUGS
    let isSteppingDown = self.role != .follower && role == .follower
    if isSteppingDown, PlantedBug.voteClearedOnStepDown.isActive { votedFor = .none }
    #endif
    votes.removeAll(keepingCapacity: true)
    // A follower that merely learns of a new term goes on waiting: a node with an old log that
    // keeps campaigning must not keep the others from it.
    if self.role != .follower || role != .follower {
      electionDeadline = drawElectionDeadline(after: now)
    }
    self.role = role
    if isChange { effects.notices.append(.roleChanged(role, currentTerm, leader: leader)) }
  }

  /// A leader of our term spoke: there is at most one, and we are not it.
  mutating func follow(_ peer: NodeID, at now: Instant, into effects: inout Effects) {
    precondition(leader == .none || leader == peer, "two leaders in term \(currentTerm)")
    let isNews = leader != peer
    leader = peer
    if !askedInVain.isEmpty { askedInVain.removeAll() }
    if role != .follower {
      CoverageMark.hit(role == .candidate ? .candidateFollows : .preCandidateFollows)
      become(.follower, in: currentTerm, at: now, into: &effects)
    } else if isNews {
      effects.notices.append(.roleChanged(.follower, currentTerm, leader: leader))
    }
    heardLeader(at: now)
  }

  /// Even a message that we must refuse shows that the leader lives (A12).
  mutating func heardLeader(at now: Instant) {
    lastLeaderContact = now
    deadLeader = .none
    electionDeadline = drawElectionDeadline(after: now)
  }

  /// Part of a frame from the leader has arrived: it lives, however large the rest may be.
  package mutating func didReceivePartially(from peer: NodeID, at now: Instant) {
    if role == .follower, peer == leader { heardLeader(at: now) }
  }

  // MARK: Time

  /// The driver's timer fired. Timers may be late or cancelled too late:
  /// only the clock counts (A14).
  package mutating func deadlinePassed(at now: Instant, into effects: inout Effects) {
    guard now >= deadline else { return }
    if role == .leader { return leaderDeadlinePassed(at: now, into: &effects) }
    guard mayCampaign else {
      electionDeadline = drawElectionDeadline(after: now)
      return
    }
    if deadLeader != .none, mustProbeDeadLeader {
      // The last pre-vote was refused by a voter that had not noticed yet: look again, then ask
      // again. Should nobody answer the probe, this election timeout decides.
      CoverageMark.hit(.deadLeaderProbedAgain)
      mustProbeDeadLeader = false
      effects.probes.append(deadLeader)
      electionDeadline = drawElectionDeadline(after: now)
      return
    }
    campaign(isTransfer: false, at: now, into: &effects)
  }

  /// The loop stood still for long (SIGSTOP, a slow machine): what the others said meanwhile is
  /// still unread, so silence proves nothing (H1).
  package mutating func didStall(at now: Instant) {
    if role == .leader {
      CoverageMark.hit(.stalledAsLeader)
      leadership!.quorumCheckDue = now + parameters.electionTimeout
    } else if deadLeader == .none {
      CoverageMark.hit(.stalledAsFollower)
      electionDeadline = drawElectionDeadline(after: now)
    }
  }

  /// The process of `peer` is certainly gone: its port refused us, or another process answered
  /// there. If it led, its lease died with it, and waiting for its silence is pointless.
  package mutating func didFindDead(_ peer: NodeID, at now: Instant, into effects: inout Effects) {
    guard role != .leader, peer == leader || peer == deadLeader else { return }
    if leader != .none { effects.notices.append(.roleChanged(role, currentTerm, leader: .none)) }
    CoverageMark.hit(.leaderFoundDead)
    leader = .none
    deadLeader = peer
    mustProbeDeadLeader = false
    lastLeaderContact = nil
    guard mayCampaign, storage == .healthy, role != .candidate else { return }
    // Followers notice within a moment of each other; a small spread keeps them from splitting.
    electionDeadline =
      now
      + random.interval(from: .zero, to: min(.milliseconds(10), parameters.heartbeatInterval))
  }

  // MARK: Campaigns

  /// Asks whether an election could be won before disturbing anyone with a new term (A9), unless
  /// the leader itself asked for it.
  mutating func campaign(isTransfer: Bool, at now: Instant, into effects: inout Effects) {
    precondition(mayCampaign, "only a voter campaigns")
    isTransferCampaign = isTransfer
    if isTransfer {
      CoverageMark.hit(.campaignForTransfer)
      return startElection(at: now, into: &effects)
    }
    #if PLANTED_BUGS
    if PlantedBug.noPreVote.isActive { return startElection(at: now, into: &effects) }
    #endif
    become(.preCandidate, in: currentTerm, at: now, into: &effects)
    leader = .none
    votes.append((id, true))
    requestVotes()
    countVotes(at: now, into: &effects)
  }

  private mutating func startElection(at now: Instant, into effects: inout Effects) {
    become(.candidate, in: currentTerm.next, at: now, into: &effects)
    votedFor = id
    deadLeader = .none
    lastLeaderContact = nil
    // Held in the outbox until the vote for ourselves is durable, which then also counts (A1, A5).
    requestVotes()
    precondition(!isHardStateDurable, "a new term is not durable yet")
  }

  /// A voter that we can talk to from now on, while we campaign: what it was asked before is lost,
  /// or its answer. Requests are made again (§5.1), and the same candidate may ask again (A3); else
  /// the cluster would wait for another election timeout.
  mutating func askAgain(_ voter: NodeID) {
    // Until the term is durable all requests are still here.
    guard role == .preCandidate || role == .candidate, mayCampaign, isHardStateDurable,
      configuration.isVoter(voter), !votes.contains(where: { $0.voter == voter })
    else { return }
    CoverageMark.hit(.voteAskedAgain)
    requestVote(of: voter)
  }

  private mutating func requestVotes() {
    for voter in configuration.voters where voter != id { requestVote(of: voter) }
    #if PLANTED_BUGS
    for learner in configuration.members
    where learner.role == .learner && PlantedBug.learnersVote.isActive {
      requestVote(of: learner.id)
    }
    #endif
  }

  /// A pre-candidate asks about the next term, which it has not begun (A9).
  private mutating func requestVote(of voter: NodeID) {
    let isAsking = role == .preCandidate
    let request = VoteRequest(
      phase: isAsking ? .preVote : .vote, lastEntry: outline.lastEntry,
      isTransfer: isTransferCampaign)
    send(.voteRequest(request), to: voter, term: isAsking ? currentTerm.next : currentTerm)
  }

  /// Our own vote is durable: now it is a vote (A5).
  mutating func didPersistOwnVote(at now: Instant, into effects: inout Effects) {
    guard role == .candidate, votedFor == id, !votes.contains(where: { $0.voter == id }) else {
      return
    }
    votes.append((id, true))
    countVotes(at: now, into: &effects)
  }

  private mutating func countVotes(at now: Instant, into effects: inout Effects) {
    let votes = votes
    #if PLANTED_BUGS
    let granted = votes.reduce(0) { $0 + ($1.granted ? 1 : 0) }
    if role == .candidate, granted >= configuration.quorum, PlantedBug.learnersVote.isActive {
      return becomeLeader(at: now, into: &effects)
    }
    #endif
    // After a refusal nobody waits for a dead leader's vote as well: ask again soon, not at the
    // timeout. Without one it may still come, from the process that took its place.
    let silent = votes.contains { !$0.granted } ? deadLeader : .none
    let result = Quorum(configuration.voters).result { voter in
      votes.first { $0.voter == voter }?.granted ?? (voter == silent ? false : nil)
    }
    switch (result, role) {
    case (.won, .preCandidate): startElection(at: now, into: &effects)
    case (.won, .candidate): becomeLeader(at: now, into: &effects)
    case (.lost, _): lostCampaign(at: now, into: &effects)
    case (.pending, _), (.won, _): break
    }
  }

  /// A campaign ends where its node may no longer lead.
  mutating func stopCampaigning(at now: Instant, into effects: inout Effects) {
    guard !mayCampaign, role == .preCandidate || role == .candidate else { return }
    CoverageMark.hit(.campaignStopped)
    become(.follower, in: currentTerm, at: now, into: &effects)
  }

  private mutating func lostCampaign(at now: Instant, into effects: inout Effects) {
    CoverageMark.hit(role == .candidate ? .electionLost : .preVoteLost)
    become(.follower, in: currentTerm, at: now, into: &effects)
    if deadLeader != .none {
      mustProbeDeadLeader = true
      electionDeadline = now + random.interval(from: .milliseconds(5), to: .milliseconds(20))
    }
  }

  private mutating func becomeLeader(at now: Instant, into effects: inout Effects) {
    precondition(votedFor == id, "a candidate votes for itself first")
    precondition(isHardStateDurable, "no election is won before its term is durable")
    become(.leader, in: currentTerm, at: now, into: &effects)
    leader = id
    deadLeader = .none
    let firstEntry = EntryID(index: lastIndex.next, term: currentTerm)
    let progress = configuration.members.filter { $0.id != id }.map {
      makeProgress(of: $0.id, at: now)
    }
    leadership = Leadership(
      progress: progress, firstEntry: firstEntry, heartbeatDue: now,
      quorumCheckDue: now + parameters.electionTimeout)
    // The no-op: what older terms left behind is committed through it (§5.4.2, §8; B8).
    appendOwn(.noop, into: &effects)
    precondition(outline.lastEntry == firstEntry, "the no-op opens the term")
  }

  // MARK: Votes

  mutating func receive(
    _ request: VoteRequest, from candidate: NodeID, term: Term, at now: Instant,
    into effects: inout Effects
  ) {
    tellRemoved(candidate)
    // Stickiness: whoever hears a leader helps nobody against it (dissertation §4.2.3). Leases rest
    // on this (C7). A higher term is not adopted either; should the candidate be right, its answers
    // to the leader's appends will depose it (A11).
    let isSticky = !request.isTransfer && (hearsLeader(at: now) || now < votesNotBefore)
    if isSticky {
      CoverageMark.hit(hearsLeader(at: now) ? .voteRefusedLeaderHeard : .voteRefusedAfterRestart)
      return send(.voteReply(VoteReply(phase: request.phase, granted: false)), to: candidate)
    }
    let isUpToDate = isUpToDate(request)
    switch request.phase {
    case .preVote:
      // Nothing changes here, and nothing is written: it is only a question (A9).
      let granted = term > currentTerm && isUpToDate
      if term <= currentTerm { CoverageMark.hit(.preVoteOfOldTerm) }
      send(
        .voteReply(VoteReply(phase: .preVote, granted: granted)), to: candidate,
        term: granted ? term : currentTerm)
    case .vote:
      if term > currentTerm {
        become(.follower, in: term, because: .higherTerm, at: now, into: &effects)
      }
      // First come, first served; the same candidate may ask again (A3).
      let canVote = votedFor == candidate || (votedFor == .none && leader == .none)
      let granted = term == currentTerm && canVote && isUpToDate
      if term == currentTerm, !canVote { CoverageMark.hit(.voteGivenAlready) }
      if granted {
        if votedFor == candidate { CoverageMark.hit(.voteRepeated) }
        if role == .preCandidate {
          CoverageMark.hit(.preCandidateVotes)
          become(.follower, in: currentTerm, at: now, into: &effects)
        }
        precondition(role == .follower, "candidates and leaders have voted for themselves")
        votedFor = candidate
        electionDeadline = drawElectionDeadline(after: now)
      }
      send(.voteReply(VoteReply(phase: .vote, granted: granted)), to: candidate)
    }
  }

  /// At least as up-to-date as ours (§5.4.1; A4).
  private func isUpToDate(_ request: VoteRequest) -> Bool {
    let last = outline.lastEntry
    let theirs = request.lastEntry
    let isBehind =
      theirs.term < last.term || (theirs.term == last.term && theirs.index < last.index)
    if isBehind, theirs.index > last.index { CoverageMark.hit(.longerLogIsOlder) }
    #if PLANTED_BUGS
    if isBehind, theirs.term == last.term, PlantedBug.upToDateByTermAlone.isActive { return true }
    if isBehind, theirs.index >= last.index, PlantedBug.upToDateByIndexAlone.isActive {
      return true
    }
    if isBehind, request.isTransfer, PlantedBug.transferSkipsLogCheck.isActive { return true }
    #endif
    return !isBehind
  }

  /// Whether a leader is known to live: we lead with a quorum's ear, or heard one within the
  /// shortest election timeout.
  package func hearsLeader(at now: Instant) -> Bool {
    if role == .leader { return true }
    guard let lastLeaderContact, now - lastLeaderContact < parameters.electionTimeout else {
      return false
    }
    #if PLANTED_BUGS
    if PlantedBug.noStickiness.isActive { return false }
    #endif
    return true
  }

  /// Votes count for the phase and term they were asked in, and for no other (A6).
  mutating func receive(
    _ reply: VoteReply, from voter: NodeID, term: Term, at now: Instant,
    into effects: inout Effects
  ) {
    let isPreVoteGrant = reply.phase == .preVote && reply.granted
    if term > currentTerm && !isPreVoteGrant {
      return become(.follower, in: term, because: .higherTerm, at: now, into: &effects)
    }
    #if PLANTED_BUGS
    if role == .candidate, isPreVoteGrant, PlantedBug.preVoteCountsAsVote.isActive {
      return note(reply, from: voter, at: now, into: &effects)
    }
    #endif
    switch (role, reply.phase) {
    case (.preCandidate, .preVote):
      guard term == currentTerm.next || !reply.granted else { return }
    case (.candidate, .vote):
      #if PLANTED_BUGS
      let isOldVote = term < currentTerm && reply.granted
      if isOldVote, PlantedBug.oldVoteReplyCounts.isActive { break }
      #endif
      guard term == currentTerm else { return CoverageMark.hit(.voteOfOldTerm) }
    default:
      return CoverageMark.hit(.voteTooLate)
    }
    note(reply, from: voter, at: now, into: &effects)
  }

  private mutating func note(
    _ reply: VoteReply, from voter: NodeID, at now: Instant, into effects: inout Effects
  ) {
    guard !votes.contains(where: { $0.voter == voter }) else {
      return CoverageMark.hit(.voteTwice)
    }
    votes.append((voter, reply.granted))
    countVotes(at: now, into: &effects)
  }

  // MARK: Check-quorum

  /// A leader that a quorum no longer answers steps down, or its followers, which it may still
  /// reach, would wait for it for ever (A10).
  mutating func checkQuorum(at now: Instant, into effects: inout Effects) {
    guard role == .leader, now >= leadership!.quorumCheckDue else { return }
    leadership!.quorumCheckDue = now + parameters.electionTimeout
    guard !hasQuorumContact(at: now) else {
      return offerLeadershipIfFull(at: now, into: &effects)
    }
    #if PLANTED_BUGS
    if PlantedBug.noCheckQuorum.isActive { return }
    #endif
    CoverageMark.hit(.quorumLost)
    become(.follower, in: currentTerm, because: .lostQuorum, at: now, into: &effects)
  }

  /// Whether a majority of the voters was heard from within one election timeout.
  package func hasQuorumContact(at now: Instant) -> Bool {
    guard let leadership else { return false }
    return Quorum(configuration.voters).holds { voter in
      voter == id
        || leadership.progress(of: voter).map { now - $0.lastContact <= parameters.electionTimeout }
          ?? false
    }
  }
}
