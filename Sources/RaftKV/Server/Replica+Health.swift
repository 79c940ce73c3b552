/// `/livez` and `/readyz`: whether this node should be restarted, and whether it should be asked.
extension Replica {
  /// An answer is the proof: it is given by a turn of the loop.
  var liveness: Reply { .healthy(status: "alive", reason: "The event loop turns.") }

  /// Ready for reads at `level`. With `.stale`: has been up to date once since its start; what it
  /// has may be old by now. Otherwise it also knows a leader, and has applied what was committed
  /// one to two election timeouts ago.
  func readiness(_ level: ReadLevel) -> Reply {
    if isStopping { return .unready("draining", "This node is stopping and takes no new work.") }
    if raft.configuration.members.isEmpty {
      return .unready("not_in_cluster", "This node waits to be joined.")
    }
    if isRemoved { return .unready("removed", "This node was removed from its cluster.") }
    if isInOtherCluster {
      return .unready("other_cluster", "This node was bootstrapped by mistake; see its log.")
    }
    guard commitMarks.hasCaughtUp else {
      return .unready("behind", "This node has not caught up since its start\(lagDescription).")
    }
    guard level != .stale else {
      return .healthy(
        status: "ready", reason: "Ready for stale reads, applied to \(appliedIndex).")
    }
    if raft.storage == .hung {
      return .unready("disk_hung", "This node's disk does not answer.")
    }
    guard isSettled else {
      return .unready("no_leader", "No leader was heard from within the election timeout.")
    }
    if isLearner { return .unready("learner", "This node is being caught up by its leader.") }
    guard appliedIndex >= commitMarks.required else {
      return .unready("behind", "This node lags behind its leader\(lagDescription).")
    }
    let part =
      raft.role == .leader ? "Leads" : "Follows \(nameOf(raft.leader))"
    return .healthy(
      status: "ready",
      reason: "\(part) in term \(raft.currentTerm), applied to \(appliedIndex).")
  }

  private var lagDescription: String {
    let known = max(commitMarks.newest, raft.commitIndex)
    return known > .zero ? ": it has applied \(appliedIndex) of \(known)" : ""
  }

  /// A leader said how far the log is committed, more than we may have of it.
  func noteLeaderCommit(_ envelope: Envelope) {
    guard case .append(let request) = envelope.message, envelope.from == raft.leader,
      envelope.term == raft.currentTerm
    else { return }
    commitMarks.note(request.leaderCommit, at: now)
  }

  /// The end of a turn.
  func stepCommitMarks() {
    if raft.role == .leader, raft.hasCommittedInTerm {
      commitMarks.note(raft.commitIndex, at: now)
    }
    commitMarks.advance(to: now, every: settings.parameters.electionTimeout)
    commitMarks.didApply(appliedIndex, at: now)
  }
}

/// How far the log was committed a while ago: lag is judged in time, for entries in flight are no
/// lag however many they are.
struct CommitMarks {
  /// Invariant: required <= next <= newest.
  private(set) var required = LogIndex.zero
  private var next = LogIndex.zero
  private(set) var newest = LogIndex.zero
  private var nextSince: Instant?
  /// When what was committed when a leader was first heard was applied.
  private(set) var caughtUpAt: Instant?
  var hasCaughtUp: Bool { caughtUpAt != nil }

  mutating func note(_ commit: LogIndex, at now: Instant) {
    newest = max(newest, commit)
    guard nextSince == nil else { return }
    required = newest
    next = newest
    nextSince = now
  }

  /// What was committed `interval` ago is required from now on.
  mutating func advance(to now: Instant, every interval: Interval) {
    guard let since = nextSince, now - since >= interval else { return }
    required = next
    next = newest
    nextSince = now
  }

  mutating func didApply(_ index: LogIndex, at now: Instant) {
    if !hasCaughtUp, nextSince != nil, index >= required { caughtUpAt = now }
  }
}

extension Reply {
  fileprivate static func unready(_ code: String, _ message: String) -> Reply {
    .failure(Failure(status: 503, code: code, message: message, retryAfter: 1))
  }
}
