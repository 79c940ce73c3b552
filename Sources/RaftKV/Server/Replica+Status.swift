/// What `/status` shows.
extension Replica {
  func status() -> Status {
    Status(
      version: settings.version, clusterID: identity.cluster, name: settings.name,
      role: roleDescription, term: raft.currentTerm, leader: leaderDescription,
      lastIndex: raft.lastIndex, commitIndex: raft.commitIndex, appliedIndex: appliedIndex,
      stateHash: store.stateHash, uptime: now - startedAt,
      members: raft.configuration.members.map(status(of:)))
  }

  package var uptime: Interval { now - startedAt }

  var isRemoved: Bool {
    raft.removedBy != nil
      || (!raft.configuration.members.isEmpty && !raft.configuration.contains(raft.id)
        && hasBeenMember)
  }

  /// For `systemctl status`, in one line.
  package var summary: String {
    if isStopping { return "Hands over and stops." }
    switch roleDescription {
    case "waiting": return "In no cluster yet: waits to be joined."
    case "removed": return "Was removed from its cluster."
    case "leader":
      let count = raft.configuration.members.count
      return "Leads in term \(raft.currentTerm), \(count) member\(count == 1 ? "" : "s")."
    case let role where raft.configuration.contains(raft.leader):
      return "Is \(role) of \(nameOf(raft.leader)) in term \(raft.currentTerm)."
    default: return "Knows no leader in term \(raft.currentTerm)."
    }
  }

  var roleDescription: String {
    if raft.role == .leader { return "leader" }
    if isRemoved { return "removed" }
    guard let member = raft.configuration.member(raft.id) else { return "waiting" }
    switch raft.role {
    case .preCandidate: return "preCandidate"
    case .candidate: return "candidate"
    case .follower, .leader: return member.role == .learner ? "learner" : "follower"
    }
  }

  private var leaderDescription: (name: String, httpAddress: String)? {
    guard let leader = raft.configuration.member(raft.leader) else { return nil }
    return (leader.name, leader.httpAddress)
  }

  /// The leader knows of everyone; the others know of themselves and of the leader.
  private func status(of member: Configuration.Member) -> Status.Member {
    var matchIndex: LogIndex?
    var lastContact: Int?
    if member.id == raft.id {
      matchIndex = raft.persistedIndex
      lastContact = 0
    } else if let progress = raft.leadership?.progress(of: member.id) {
      matchIndex = progress.matchIndex
      lastContact = (now - progress.lastContact).milliseconds
    } else if member.id == raft.leader {
      lastContact = raft.lastLeaderContact.map { (now - $0).milliseconds }
    }
    return Status.Member(member: member, matchIndex: matchIndex, lastContact: lastContact)
  }
}
