/// Membership: one change at a time (dissertation §4), learners first (§4.2.1).
extension Raft {
  package enum Change: Equatable, Sendable {
    /// As a learner; `memberSince` is filled in. It is promoted once it has caught up.
    case add(Configuration.Member)
    case remove(NodeID)
    case promote(NodeID)
    case update(NodeID, raftAddress: String, httpAddress: String)
  }

  /// Whether `change` would be taken now, as far as time and order are concerned.
  package var mayChangeConfiguration: Bool {
    role == .leader && leadership!.transfer == nil && hasCommittedInTerm
      && configurations.currentIndex <= commitIndex
  }

  /// Appends a configuration that differs by one change.
  ///
  /// Two configurations in a row share a quorum only if the first is committed before the second is
  /// appended, and across terms only if the leader has committed an entry of its own (D1).
  package mutating func change(
    _ change: Change, at now: Instant, into effects: inout Effects
  ) throws(Refusal) {
    guard let leadership else { throw .notLeader }
    guard leadership.transfer == nil else { throw .transferring }
    #if PLANTED_BUGS
    let isReady = hasCommittedInTerm || PlantedBug.changeBeforeNoop.isActive
    let isFree =
      configurations.currentIndex <= commitIndex || PlantedBug.changeBeforeCommit.isActive
    #else
    let isReady = hasCommittedInTerm
    let isFree = configurations.currentIndex <= commitIndex
    #endif
    guard isReady, isFree else {
      CoverageMark.hit(isReady ? .changeWaitsForChange : .changeWaitsForNoop)
      throw .configurationPending
    }
    let next = try configuration.applying(change, at: lastIndex.next)
    appendOwn(.configuration(next, size: next.encodedSize), into: &effects)
    adoptConfiguration(at: now, into: &effects)
  }

  /// A leader's book-keeping follows the configuration that it has just appended.
  private mutating func adoptConfiguration(at now: Instant, into effects: inout Effects) {
    // Acknowledgements of the old quorum say nothing about the new one (C4).
    leadership!.leaseFloor = leadership!.round
    let known = leadership!.progress
    leadership!.progress = configuration.members.filter { $0.id != id }.map { member in
      known.first { $0.id == member.id } ?? makeProgress(of: member.id, at: now)
    }
    if let target = leadership!.transfer?.target, !configuration.isVoter(target) {
      leadership!.transfer = nil
      effects.notices.append(.transferAborted(to: target))
    }
  }

  /// Makes a new cluster: an empty log begins with its first configuration, in term 1.
  package mutating func bootstrap(
    _ configuration: Configuration, at now: Instant, into effects: inout Effects
  ) {
    precondition(lastIndex == .zero && currentTerm == .zero, "a cluster is made on an empty log")
    currentTerm = Term(1)
    appendOwn(.configuration(configuration, size: configuration.encodedSize), into: &effects)
    electionDeadline = now
  }

  /// The configuration in force is another: appended, truncated or installed.
  mutating func didChangeConfiguration(into effects: inout Effects) {
    effects.notices.append(.configurationChanged(configurations.currentIndex))
    if let removedBy, let since = configuration.member(id)?.memberSince, since > removedBy {
      #if PLANTED_BUGS
      if PlantedBug.readdedStaysRemoved.isActive { return }
      #endif
      CoverageMark.hit(.removedAndBack)
      self.removedBy = nil  // Added again as it is: its data is intact (D8).
    }
  }

  mutating func didCommitConfiguration(into effects: inout Effects) {
    guard let previous = configurations.previous else { return }
    for member in previous.members where !configuration.contains(member.id) && member.id != id {
      tellRemoved(member.id)
    }
  }

  /// Says "you are removed", which only a leader may whose committed configuration, of a term in
  /// which it has committed, lacks the other (D7).
  mutating func tellRemoved(_ peer: NodeID) {
    #if PLANTED_BUGS
    let isEarly = !hasCommittedInTerm || configurations.currentIndex > commitIndex
    if role == .leader, !configuration.contains(peer), isEarly,
      PlantedBug.removalSaidTooEarly.isActive
    {
      return send(.removed(by: configurations.currentIndex), to: peer)
    }
    #endif
    guard role == .leader, hasCommittedInTerm, configurations.currentIndex <= commitIndex,
      !configuration.contains(peer)
    else { return }
    CoverageMark.hit(.removalTold)
    send(.removed(by: configurations.currentIndex), to: peer)
  }

  mutating func learnRemoval(by index: LogIndex, into effects: inout Effects) {
    guard removedBy == nil || removedBy! < index else { return }
    if let since = configuration.member(id)?.memberSince, since > index {
      return CoverageMark.hit(.removalIsHistory)
    }
    removedBy = index
    effects.notices.append(.wasRemoved(by: index))
  }

  /// A leader that removed itself leads on until that is committed, without counting itself (D6),
  /// and has told the others so.
  mutating func stepDownIfRemoved(at now: Instant, into effects: inout Effects) {
    guard !configuration.contains(id), configurations.currentIndex <= commitIndex else { return }
    let index = configurations.currentIndex
    for peer in leadership!.progress.indices { sendHeartbeat(to: peer) }
    become(.follower, in: currentTerm, because: .removedItself, at: now, into: &effects)
    learnRemoval(by: index, into: &effects)
  }

  // MARK: Learners

  /// Promotes a learner that has caught up, and removes one that stands still. A new leader carries
  /// on with the learners it finds.
  mutating func stepLearners(at now: Instant, into effects: inout Effects) {
    for member in configuration.members where member.role == .learner {
      guard let peer = leadership!.index(of: member.id) else { continue }
      let isCaughtUp = updateCatchUp(of: peer, at: now)
      let hasStalled =
        now - leadership!.progress[peer].catchUp.lastProgress > parameters.learnerPatience
      guard isCaughtUp || hasStalled else { continue }
      let change: Change = isCaughtUp ? .promote(member.id) : .remove(member.id)
      guard (try? self.change(change, at: now, into: &effects)) != nil else { return }
      if hasStalled && !isCaughtUp { CoverageMark.hit(.learnerGivenUp) }
      if hasStalled && !isCaughtUp { effects.notices.append(.learnerStalled(member.id)) }
      return  // One change at a time.
    }
  }

  /// A learner has caught up when a round, the time to copy what the log held when the round began,
  /// takes less than an election timeout: then it cannot hold up the cluster for longer than that.
  private mutating func updateCatchUp(of peer: Int, at now: Instant) -> Bool {
    #if PLANTED_BUGS
    if PlantedBug.promotedAtOnce.isActive { return true }
    #endif
    let progress = leadership!.progress[peer]
    guard progress.matchIndex >= progress.catchUp.target, progress.matchIndex > .zero else {
      return false
    }
    if now - progress.catchUp.startedAt <= parameters.electionTimeout,
      now - progress.lastContact <= parameters.electionTimeout
    {
      return true
    }
    CoverageMark.hit(.catchUpRoundTooLong)
    leadership!.progress[peer].catchUp.target = lastIndex
    leadership!.progress[peer].catchUp.startedAt = now
    return false
  }
}

extension Configuration {
  /// This configuration after one change; `index` is where the new one will stand.
  package func applying(
    _ change: Raft.Change, at index: LogIndex
  ) throws(Raft.Refusal) -> Configuration {
    var next = self
    switch change {
    case .add(var member):
      guard members.count < Self.maximumMembers else { throw .tooManyMembers }
      precondition(!contains(member.id) && self.member(named: member.name) == nil, "added twice")
      member.memberSince = index
      member.role = .learner
      next.members.append(member)
    case .remove(let id):
      guard contains(id) else { throw .unknownMember }
      next.members.removeAll { $0.id == id }
      guard next.voterCount > 0 else { throw .lastVoter }
    case .promote(let id):
      guard let position = members.firstIndex(where: { $0.id == id }) else { throw .unknownMember }
      next.members[position].role = .voter
    case .update(let id, let raftAddress, let httpAddress):
      guard let position = members.firstIndex(where: { $0.id == id }) else { throw .unknownMember }
      next.members[position].raftAddress = raftAddress
      next.members[position].httpAddress = httpAddress
    }
    return next
  }
}
