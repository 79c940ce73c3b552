import RaftKV

/// The algorithm stated a second time, as the published specification of Raft states it: which
/// steps a node may take, given what has been sent so far, and how much of a leader's log has come
/// and fits. It judges no answer by the one message that it answers, so that no order of arrival,
/// loss or repetition is taken for a fault.
///
/// One step here may be several of the specification's: all that one event has led to. Its actions
/// are named where their guards stand. Two are ours: a pre-vote comes before a campaign, and a
/// leader may ask for one (TimeoutNow).
package struct TransitionRelation {
  /// What the specification calls the variables of a server.
  package struct State: Equatable, Sendable {
    package var role: Role
    package var term: Term
    package var votedFor: NodeID
    package var last: EntryID
    package var commit: LogIndex

    package init(role: Role, term: Term, votedFor: NodeID, last: EntryID, commit: LogIndex) {
      self.role = role
      self.term = term
      self.votedFor = votedFor
      self.last = last
      self.commit = commit
    }
  }

  /// What else of a node, and of the cluster, the guards look at, after the step.
  package struct Facts {
    package var id: NodeID
    /// The voters of the configuration in force, and of the one before: a step may have changed it.
    package var voters: [[NodeID]]
    package var persisted: LogIndex
    package var isHardStateDurable: Bool
    /// The newest entry that any node had committed before this step.
    package var committed: LogIndex
    /// Of an entry of this node's log; nil where it has none, or has compacted it.
    package var term: (LogIndex) -> Term?

    package init(
      id: NodeID, voters: [[NodeID]], persisted: LogIndex, isHardStateDurable: Bool,
      committed: LogIndex, term: @escaping (LogIndex) -> Term?
    ) {
      self.id = id
      self.voters = voters
      self.persisted = persisted
      self.isHardStateDurable = isHardStateDurable
      self.committed = committed
      self.term = term
    }
  }

  /// One node's part in a term.
  private struct Seat: Hashable {
    var node: NodeID
    var term: Term
  }

  private struct Grant: Hashable {
    var voter: NodeID
    var seat: Seat
  }

  // Looked up only, never iterated: their order cannot matter.

  /// Terms that a candidate has begun, and those that somebody has led. The first entry of a
  /// cluster is of term 1, which nobody was elected in.
  private var begun: Set<Term> = [Term(1)]
  private var led: Set<Term> = [Term(1)]
  private var leaderships: Set<Seat> = []
  private var requests: [Seat: EntryID] = [:]
  private var votes: Set<Grant> = []
  private var preVotes: Set<Grant> = []
  private var handOvers: Set<Seat> = []
  private var acknowledged: [Seat: LogIndex] = [:]
  /// How far a term's leader has vouched for the log of a node, in what has come since its start.
  private var vouched: [NodeID: [Term: LogIndex]] = [:]
  /// The newest snapshot that has come, or a part of it, since the start: all of it is committed.
  private var offered: [NodeID: LogIndex] = [:]

  package init() {}

  // MARK: Messages

  /// Learns what was sent, or says why it could not be.
  package mutating func didSend(
    _ envelope: Envelope, by state: State, _ facts: @autoclosure () -> Facts
  ) -> String? {
    let seat = Seat(node: envelope.from, term: envelope.term)
    switch envelope.message {
    case .voteRequest(let request):
      guard request.phase == .vote else { return nil }
      // RequestVote(i, j)
      guard state.votedFor == envelope.from, state.term == envelope.term else {
        return "it asks for votes in term \(envelope.term) without its own"
      }
      begun.insert(envelope.term)
      requests[seat] = request.lastEntry
      votes.insert(Grant(voter: envelope.from, seat: seat))
    case .voteReply(let reply):
      guard reply.granted else { return nil }
      let candidate = Seat(node: envelope.to, term: envelope.term)
      let grant = Grant(voter: envelope.from, seat: candidate)
      guard reply.phase == .vote else {
        preVotes.insert(grant)
        return nil
      }
      votes.insert(grant)
      return judgeVote(candidate, by: state, facts())
    case .append, .heartbeat, .snapshotChunk:
      // AppendEntries(i, j)
      if state.role == .leader, state.term == envelope.term { lead(seat) }
      guard leaderships.contains(seat) else { return "it speaks as the leader it is not" }
    case .appendReply(let reply):
      guard case .matched(let index) = reply.outcome else { return nil }
      // HandleAppendEntriesRequest, accepted: and with us, only once it is durable.
      let persisted = facts().persisted
      guard index <= persisted else {
        return "it acknowledges \(index), and its disk has \(persisted)"
      }
      // mmatchIndex = mprevLogIndex + Len(mentries), and not the end of its own log.
      let limit = vouchedIndex(envelope.from, in: envelope.term)
      guard index <= limit else {
        return "it acknowledges \(index), and its leader vouched for \(limit)"
      }
      acknowledged[seat] = max(acknowledged[seat] ?? .zero, index)
    case .timeoutNow: handOvers.insert(Seat(node: envelope.to, term: envelope.term))
    case .heartbeatReply, .snapshotReply, .removed, .diverged, .moved: break
    }
    return nil
  }

  /// HandleRequestVoteRequest: the candidate's log is at least as up-to-date (§5.4.1).
  private func judgeVote(_ candidate: Seat, by state: State, _ facts: Facts) -> String? {
    guard let theirs = requests[candidate] else { return "it votes for who has not asked" }
    guard state.term == candidate.term, state.votedFor == candidate.node else {
      return "it sends a vote that it has not given"
    }
    // The vote was given before anything of its term was in the log; since then the winner may have
    // sent some.
    var index = state.last.index
    var term = facts.term(index)
    while let later = term, later >= candidate.term, index > .zero {
      index = index.previous
      term = facts.term(index)
    }
    guard let term else { return nil }
    let isNewer =
      term > theirs.term || (term == theirs.term && index > theirs.index)
    return isNewer
      ? "it votes for a log that ends with \(theirs), its own ends with \(index)@\(term)" : nil
  }

  /// Learns what has come to its receiver. What was sent and lost vouches for nothing; and neither
  /// does an append whose previous entry the log does not hold (logOk), nor what a full disk does
  /// not take of it.
  package mutating func didReceive(
    _ envelope: Envelope, isFull: Bool = false, holds: (EntryID) -> Bool
  ) {
    switch envelope.message {
    case .append(let request):
      guard holds(request.previous) else { return }
      var last = request.last
      if isFull {
        last = request.previous.index
        for entry in request.entries {
          let next = EntryID(index: last.next, term: entry.term)
          guard entry.kind != .command || holds(next) else { break }
          last = next.index
        }
      }
      let earlier = vouched[envelope.to]?[envelope.term] ?? .zero
      vouched[envelope.to, default: [:]][envelope.term] = max(earlier, last)
    case .snapshotChunk(let chunk):
      offered[envelope.to] = max(offered[envelope.to] ?? .zero, chunk.lastEntry.index)
    default: break
    }
  }

  /// Restart(i): what is not on its disk a node forgets, and so what others have told it.
  package mutating func didStart(_ node: NodeID) {
    vouched[node] = nil
    offered[node] = nil
  }

  /// How much of a follower's log its leader may have shown to be its own.
  private func vouchedIndex(_ follower: NodeID, in term: Term) -> LogIndex {
    max(vouched[follower]?[term] ?? .zero, offered[follower] ?? .zero)
  }

  private mutating func lead(_ seat: Seat) {
    leaderships.insert(seat)
    led.insert(seat.term)
  }

  // MARK: Steps

  /// Whether a node may get from `old` to `new` in one event; if not, why.
  package mutating func step(from old: State, to new: State, _ facts: Facts) -> String? {
    if let why = stepTerm(old, new, facts) { return why }
    if let why = stepRole(old, new, facts) { return why }
    if let why = stepLog(old, new, facts) { return why }
    return stepCommit(old, new, facts)
  }

  private mutating func stepTerm(_ old: State, _ new: State, _ facts: Facts) -> String? {
    guard new.term >= old.term else { return "its term falls from \(old.term) to \(new.term)" }
    guard new.term > old.term else {
      let isKept = old.votedFor == .none || new.votedFor == old.votedFor
      return isKept ? nil : "its vote in term \(new.term) changes"
    }
    if new.votedFor == facts.id {
      // Timeout(i): after a pre-vote that was won, or because the last leader has asked for it.
      begun.insert(new.term)
      let seat = Seat(node: facts.id, term: new.term)
      let isAsked = handOvers.contains(
        Seat(node: facts.id, term: Term(new.term.rawValue - 1)))
      guard
        isAsked
          || hasQuorum(facts, { $0 == facts.id || preVotes.contains(.init(voter: $0, seat: seat)) })
      else { return "it campaigns in term \(new.term) without a quorum of pre-votes" }
    } else if !begun.contains(new.term) {
      // UpdateTerm(i, j)
      return "it has heard of term \(new.term), which nobody began"
    }
    return nil
  }

  private mutating func stepRole(_ old: State, _ new: State, _ facts: Facts) -> String? {
    let isSame = old.role == new.role && old.term == new.term
    switch new.role {
    case .follower: return nil
    case .preCandidate: return isSame ? nil : judgeElectable(facts)
    case .candidate:
      guard !isSame else { return nil }
      guard new.term > old.term else { return "it is a candidate in a term that it did not begin" }
      return judgeElectable(facts)
    case .leader:
      guard !isSame else { return nil }
      // BecomeLeader(i)
      let seat = Seat(node: facts.id, term: new.term)
      guard new.votedFor == facts.id else { return "it leads without its own vote" }
      let hasWon = hasQuorum(facts) { voter in
        voter == facts.id
          ? facts.isHardStateDurable : votes.contains(.init(voter: voter, seat: seat))
      }
      guard hasWon else { return "it leads in term \(new.term) without a quorum of durable votes" }
      lead(seat)
      return nil
    }
  }

  private func judgeElectable(_ facts: Facts) -> String? {
    facts.voters.contains { $0.contains(facts.id) } ? nil : "it campaigns, and is no voter"
  }

  private func stepLog(_ old: State, _ new: State, _ facts: Facts) -> String? {
    guard new.last != old.last else { return nil }
    guard new.last.term <= new.term else { return "its log is ahead of its term" }
    guard new.last.index >= old.commit else { return "it drops entries that it had committed" }
    guard led.contains(new.last.term) else {
      return "it has an entry of term \(new.last.term), which nobody led"
    }
    guard old.role == .leader, new.role == .leader, old.term == new.term else { return nil }
    // ClientRequest(i), and LeaderAppendOnly.
    guard new.last.index > old.last.index,
      facts.term(old.last.index) ?? old.last.term == old.last.term
    else { return "a leader overwrites its log" }
    guard facts.term(old.last.index.next) ?? new.term == new.term else {
      return "a leader appends an entry of another term"
    }
    return nil
  }

  private func stepCommit(_ old: State, _ new: State, _ facts: Facts) -> String? {
    guard new.commit >= old.commit else { return "its commit index falls" }
    guard new.commit <= new.last.index else { return "it commits what it does not have" }
    guard new.commit > old.commit else { return nil }
    let wasLeader = old.role == .leader
    let leads = new.role == .leader && (!wasLeader || old.term == new.term)
    if !wasLeader, !leads, let why = judgeFollowed(old, new, facts) { return why }
    guard new.commit > facts.committed else {
      guard wasLeader, leads else { return nil }
      return judgeOwnTerm(new.commit, new.term, facts)
    }
    // AdvanceCommitIndex(i): nobody else commits first.
    guard leads || wasLeader else {
      return "it commits \(new.commit), which no leader has committed"
    }
    let term = leads ? new.term : old.term
    if let why = judgeOwnTerm(new.commit, term, facts) { return why }
    let isMatched = hasQuorum(facts) { voter in
      let seat = Seat(node: voter, term: term)
      return (voter == facts.id ? facts.persisted : acknowledged[seat] ?? .zero) >= new.commit
    }
    return isMatched ? nil : "it commits \(new.commit), which no quorum has acknowledged"
  }

  /// A follower commits what its leader's messages vouch for, and nothing that it merely has.
  private func judgeFollowed(_ old: State, _ new: State, _ facts: Facts) -> String? {
    let limit = max(
      vouchedIndex(facts.id, in: old.term), vouchedIndex(facts.id, in: new.term))
    return new.commit > limit
      ? "it commits \(new.commit), and its leader vouched for \(limit)" : nil
  }

  /// Only entries of its own term does a leader commit by counting (§5.4.2).
  private func judgeOwnTerm(_ index: LogIndex, _ term: Term, _ facts: Facts) -> String? {
    guard let found = facts.term(index), found != term else { return nil }
    return "it commits by counting \(index)@\(found) in term \(term)"
  }

  private func hasQuorum(_ facts: Facts, _ holds: (NodeID) -> Bool) -> Bool {
    facts.voters.contains { voters in
      voters.reduce(0) { $0 + (holds($1) ? 1 : 0) } > voters.count / 2
    }
  }
}
