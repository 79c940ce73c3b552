/// A clean end: leadership goes first, then what is in flight is answered.
extension Replica {
  package func beginStop() {
    now = clock()
    isStopping = true
    // Joins may take longer than we have: they are told to ask elsewhere. What is held waits for
    // the next leader, for an election timeout as ever.
    abandonAdministration()
    handOver()
  }

  /// Begins to give the leadership away, or goes on with it; tries the next best member where one
  /// did not take over. Returns whether it is on its way.
  @discardableResult
  package func handOver() -> Bool {
    guard raft.role == .leader else { return false }
    let isOnItsWay = raft.transferLeadership(at: now, into: &effects)
    if isOnItsWay { hasHandedOver = true }
    return isOnItsWay
  }

  /// The leadership that was given away has no new holder yet, as far as we know. The successor
  /// may need our vote: of two voters it always does, of more where it has not found the rest yet.
  package var awaitsSuccessor: Bool {
    hasHandedOver && raft.role != .leader && raft.leader == .none
  }

  package var hasPendingRequests: Bool {
    !writes.isEmpty || !reads.isEmpty || heldCount > 0 || !homeless.isEmpty
  }

  /// In no cluster, as far as this node knows.
  package var isWaiting: Bool { raft.configuration.members.isEmpty }
  package var isVoter: Bool { raft.configuration.isVoter(raft.id) }
  /// Let in, and not caught up yet: it may still be given up.
  package var isLearner: Bool { raft.configuration.member(raft.id)?.role == .learner }
}
