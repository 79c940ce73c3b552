/// `/livez` and `/readyz`: whether this node should be restarted, and whether it should be asked.
extension Replica {
  /// An answer is the proof: it is given by a turn of the loop.
  var liveness: Reply { .healthy(status: "alive", reason: "The event loop turns.") }

  /// Ready for reads at `level`. With `.stale`: has been up to date once since its start; what it
  /// has may be old by now. Otherwise it also knows a leader, and has applied what was committed
  /// one to two election timeouts ago.
  package func readiness(_ level: ReadLevel) -> Reply {
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
    // What it has of former terms may not be all that is committed (§8).
    guard raft.role != .leader || raft.hasCommittedInTerm else {
      return .unready("behind", "This node leads, and has committed nothing in its term yet.")
    }
    if isLearner { return .unready("learner", "This node is being caught up by its leader.") }
    guard commitMarks.isKnown, appliedIndex >= commitMarks.required else {
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

  /// A leader says with its entries how far the log is committed, more than we may have of it. With
  /// a snapshot it does not, however long that takes, and sends entries or none after it; to a full
  /// disk it sends no more of them.
  func noteLeaderCommit(_ envelope: Envelope) {
    guard envelope.from == raft.leader, envelope.term == raft.currentTerm else { return }
    switch envelope.message {
    case .append(let request):
      guard raft.storage != .full || raft.outline.holds(request) else {
        return commitMarks.forget(untilEntries: true)
      }
      commitMarks.note(request.leaderCommit, withEntries: request.count > 0, at: now)
    case .snapshotChunk(let chunk) where chunk.lastEntry.index > raft.commitIndex:
      commitMarks.forget(untilEntries: false)
    default: break
    }
  }

  /// The end of a turn.
  func stepCommitMarks() {
    if raft.role == .leader, raft.hasCommittedInTerm {
      commitMarks.note(raft.commitIndex, at: now)
    } else if raft.leader == .none {
      commitMarks.mayHaveMissed()
    }
    commitMarks.advance(to: now, every: settings.parameters.electionTimeout)
    commitMarks.didApply(
      appliedIndex, isOfPresentTerm: raft.outline.term(at: appliedIndex) == raft.currentTerm,
      at: now)
  }
}

/// How far the log was committed a while ago: lag is judged in time, for entries in flight are no
/// lag however many they are.
struct CommitMarks {
  /// Invariant: required <= next <= newest.
  private(set) var required = LogIndex.zero
  private var next = LogIndex.zero
  private(set) var newest = LogIndex.zero
  /// Nil while nobody says how far the log is committed.
  private var nextSince: Instant?
  var isKnown: Bool { nextSince != nil }
  /// What comes next may be far ahead: it is required at once.
  private var isNextUrgent = false
  private var needsEntries = false
  /// When what was committed when a leader was first heard was applied.
  ///
  /// A leader that has just restarted names an old commit index, or none: what else is committed it
  /// learns with the first entry of its own term (§8). So an entry of that term is asked for too.
  private(set) var caughtUpAt: Instant?
  var hasCaughtUp: Bool { caughtUpAt != nil }

  mutating func note(_ commit: LogIndex, withEntries: Bool = true, at now: Instant) {
    newest = max(newest, commit)
    if withEntries { needsEntries = false }
    guard !isKnown || isNextUrgent, !needsEntries else { return }
    isNextUrgent = false
    required = newest
    next = newest
    nextSince = now
  }

  /// Until the next word nothing is known; or until the next that comes with entries, as it does
  /// once what we could not take of the log is sent again.
  mutating func forget(untilEntries: Bool) {
    nextSince = nil
    needsEntries = untilEntries
  }

  /// No leader was heard for a while.
  mutating func mayHaveMissed() { isNextUrgent = true }

  /// What was committed `interval` ago is required from now on.
  mutating func advance(to now: Instant, every interval: Interval) {
    guard let since = nextSince, now - since >= interval else { return }
    required = next
    next = newest
    nextSince = now
  }

  mutating func didApply(
    _ index: LogIndex, isOfPresentTerm: @autoclosure () -> Bool, at now: Instant
  ) {
    if !hasCaughtUp, isKnown, index >= required, isOfPresentTerm() { caughtUpAt = now }
  }
}

extension LogOutline {
  fileprivate func holds(_ request: AppendRequest) -> Bool {
    let term = request.entries.last?.term ?? request.previous.term
    return request.last <= base.index || contains(EntryID(index: request.last, term: term))
  }
}

extension Reply {
  fileprivate static func unready(_ code: String, _ message: String) -> Reply {
    .failure(Failure(status: 503, code: code, message: message, retryAfter: 1))
  }
}
