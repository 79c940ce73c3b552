/// A clean end: leadership goes first, then what is in flight is answered.
extension Replica {
  package func beginStop() {
    now = clock()
    isStopping = true
    // Held requests and joins may take longer than we have: they are told to ask elsewhere.
    if heldCount > 0 {
      heldCount = 0
      replies.resumeHeldRequests()
    }
    abandonAdministration()
    guard raft.role == .leader else { return }
    raft.transferLeadership(at: now, into: &effects)
  }

  /// Leadership is on its way to another node.
  package var isHandingOver: Bool { raft.role == .leader && isTransferring }
  package var hasPendingRequests: Bool { !writes.isEmpty || !reads.isEmpty }

  /// In no cluster, as far as this node knows.
  package var isWaiting: Bool { raft.configuration.members.isEmpty }
  package var isVoter: Bool { raft.configuration.isVoter(raft.id) }
  /// Let in, and not caught up yet: it may still be given up.
  package var isLearner: Bool { raft.configuration.member(raft.id)?.role == .learner }
}
