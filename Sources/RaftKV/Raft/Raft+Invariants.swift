/// The algorithm stated a second time: what must always hold, and what may never go back. The
/// simulator asks after every event; production never does.
extension Raft {
  /// What may only rise, as of one moment.
  package struct Watermarks: Equatable, Sendable {
    var currentTerm: Term
    var votedFor: NodeID
    package var commitIndex: LogIndex
    var durableTerm: Term
    var isLeader: Bool
  }

  package var watermarks: Watermarks {
    Watermarks(
      currentTerm: currentTerm, votedFor: votedFor, commitIndex: commitIndex,
      durableTerm: durableHardState.currentTerm, isLeader: role == .leader)
  }

  /// Until when this node votes for nobody else than the leader it hears, by its own clock: what a
  /// lease rests on (C7, A16).
  package var sticksUntil: Instant {
    max(votesNotBefore, lastLeaderContact.map { $0 + parameters.electionTimeout } ?? .zero)
  }

  /// The first invariant that does not hold, as a sentence; nil when all do.
  package func brokenInvariant(since earlier: Watermarks? = nil) -> String? {
    if outline.lastEntry.term > currentTerm { return "the log is ahead of the current term" }
    if persistedIndex > lastIndex { return "durable beyond the log" }
    if commitIndex > lastIndex { return "committed beyond the log" }
    if commitIndex < outline.base.index { return "compacted beyond the commit" }
    if configurations.currentIndex > lastIndex { return "a configuration beyond the log" }
    if (leadership != nil) != (role == .leader) { return "leadership beside another role" }
    if role == .leader, leader != id { return "a leader that follows" }
    if role == .leader, votedFor != id { return "a leader that voted for another" }
    if let earlier {
      if currentTerm < earlier.currentTerm { return "the term fell" }
      if commitIndex < earlier.commitIndex { return "the commit index fell" }
      if durableHardState.currentTerm < earlier.durableTerm { return "the durable term fell" }
      if currentTerm == earlier.currentTerm, earlier.votedFor != .none,
        votedFor != earlier.votedFor
      {
        return "the vote changed within a term"
      }
    }
    if let earlier, earlier.isLeader, role == .leader, earlier.currentTerm == currentTerm,
      commitIndex > earlier.commitIndex, outline.term(at: commitIndex) != currentTerm
    {
      return "an entry of an older term was committed by counting"
    }
    return brokenLeadership
  }

  /// What a leader believes to be in the log of `peer`, zero for a non-member; nil for other roles.
  package func matchIndex(of peer: NodeID) -> LogIndex? {
    leadership?.progress.matchIndex(of: peer)
  }

  /// When the newest round began that a quorum has answered; nil for other roles.
  package var confirmedAt: Instant? { leadership?.confirmedAt }

  private var brokenLeadership: String? {
    guard role == .leader else { return nil }
    let firstEntry = leadership!.firstEntry
    if configurations.currentIndex > firstEntry.index, commitIndex < firstEntry.index {
      return "the members changed before anything of the term was committed"
    }
    for progress in leadership!.progress {
      if progress.nextIndex <= progress.matchIndex { return "nextIndex at or below matchIndex" }
      if progress.nextIndex > lastIndex.next { return "nextIndex beyond the log" }
      if progress.messagesInFlight > parameters.windowMessages { return "window overrun" }
      if !configuration.contains(progress.id) { return "progress of a non-member" }
    }
    let others = configuration.members.count - (configuration.contains(id) ? 1 : 0)
    return leadership!.progress.count == others ? nil : "a member without progress"
  }
}
