import RaftKV
import Simulation
import Testing

private let one = NodeID(1)
private let two = NodeID(2)
private let three = NodeID(3)

/// Three nodes on paper: what the specification allows passes, and each of its guards refuses
/// something.
@Suite("TransitionRelation")
struct TransitionRelationTests {
  /// A cluster as far as the relation sees it: states, and logs as lists of terms.
  private struct Paper {
    var relation = TransitionRelation()
    var states: [NodeID: TransitionRelation.State] = [:]
    var logs: [NodeID: [UInt64]] = [:]
    var persisted: [NodeID: UInt64] = [:]
    var isDurable = true
    var committed: UInt64 = 1
    var voters: [[NodeID]] = [[one, two, three]]
    /// Nothing that is sent arrives.
    var isLost = false

    init() {
      for id in [one, two, three] {
        logs[id] = [1]
        persisted[id] = 1
        states[id] = TransitionRelation.State(
          role: .follower, term: Term(1), votedFor: .none,
          last: EntryID(index: LogIndex(1), term: Term(1)), commit: LogIndex(1))
      }
    }

    private func facts(_ id: NodeID) -> TransitionRelation.Facts {
      let log = logs[id] ?? []
      return TransitionRelation.Facts(
        id: id, voters: voters, persisted: LogIndex(persisted[id] ?? 0),
        isHardStateDurable: isDurable, committed: LogIndex(committed),
        term: { index in
          guard index > .zero else { return .zero }
          return index.rawValue <= UInt64(log.count) ? Term(log[Int(index.rawValue) - 1]) : nil
        })
    }

    /// Takes a step, with a log where that changes.
    mutating func step(
      _ id: NodeID, log: [UInt64]? = nil, _ change: (inout TransitionRelation.State) -> Void
    ) -> String? {
      if let log { logs[id] = log }
      let old = states[id]!
      var new = old
      let entries = logs[id]!
      new.last = EntryID(index: LogIndex(UInt64(entries.count)), term: Term(entries.last ?? 0))
      change(&new)
      states[id] = new
      defer { committed = max(committed, new.commit.rawValue) }
      return relation.step(from: old, to: new, facts(id))
    }

    /// Takes over a log that is on its disk at once.
    mutating func store(_ id: NodeID, _ log: [UInt64]) {
      _ = step(id, log: log) { _ in }
      persisted[id] = UInt64(log.count)
    }

    mutating func send(
      _ message: Message, from: NodeID, to: NodeID, term: UInt64
    ) -> String? {
      let facts = facts(from)
      let envelope = Envelope(from: from, to: to, term: Term(term), message: message)
      if !isLost {
        relation.didReceive(envelope) { [log = logs[to] ?? []] previous in
          let index = Int(previous.index.rawValue)
          return index == 0 || index <= log.count && Term(log[index - 1]) == previous.term
        }
      }
      return relation.didSend(envelope, by: states[from]!, facts)
    }

    // MARK: Whole actions

    mutating func askForPreVotes(_ id: NodeID, granted: [NodeID]) -> String? {
      var why = step(id) { $0.role = .preCandidate }
      let term = states[id]!.term.rawValue + 1
      for voter in granted {
        let reply = VoteReply(phase: .preVote, granted: true)
        why = why ?? send(.voteReply(reply), from: voter, to: id, term: term)
      }
      return why
    }

    mutating func campaign(_ id: NodeID, to others: [NodeID]) -> String? {
      var why = step(id) {
        $0.role = .candidate
        $0.term = $0.term.next
        $0.votedFor = id
      }
      let request = VoteRequest(phase: .vote, lastEntry: states[id]!.last)
      for other in others {
        why =
          why
          ?? send(.voteRequest(request), from: id, to: other, term: states[id]!.term.rawValue)
      }
      return why
    }

    mutating func vote(_ id: NodeID, for candidate: NodeID) -> String? {
      let term = states[candidate]!.term
      let why = step(id) {
        $0.role = .follower
        $0.term = term
        $0.votedFor = candidate
      }
      let reply = VoteReply(phase: .vote, granted: true)
      return why ?? send(.voteReply(reply), from: id, to: candidate, term: term.rawValue)
    }

    /// With its no-op.
    mutating func lead(_ id: NodeID) -> String? {
      step(id, log: logs[id]! + [states[id]!.term.rawValue]) { $0.role = .leader }
    }

    /// Entries after 1 and through `last`.
    mutating func append(through last: UInt64, from leader: NodeID, to other: NodeID) -> String? {
      let request = AppendRequest(
        previous: EntryID(index: LogIndex(1), term: Term(1)), leaderCommit: .zero, round: 0,
        count: Int(last) - 1)
      return send(.append(request), from: leader, to: other, term: states[leader]!.term.rawValue)
    }

    mutating func acknowledge(_ id: NodeID, _ index: UInt64, to leader: NodeID) -> String? {
      let reply = AppendReply(outcome: .matched(LogIndex(index)), round: 0)
      return send(.appendReply(reply), from: id, to: leader, term: states[id]!.term.rawValue)
    }

    mutating func commit(_ id: NodeID, _ index: UInt64) -> String? {
      step(id) { $0.commit = LogIndex(index) }
    }

    /// Node one leads term 2, node two has voted for it.
    static func withLeader() -> Paper {
      var paper = Paper()
      #expect(paper.askForPreVotes(one, granted: [two]) == nil)
      #expect(paper.campaign(one, to: [two, three]) == nil)
      #expect(paper.vote(two, for: one) == nil)
      #expect(paper.lead(one) == nil)
      return paper
    }
  }

  @Test("an election, an append and a commit are possible")
  func calmDay() {
    var paper = Paper.withLeader()
    paper.persisted[one] = 2
    #expect(paper.append(through: 2, from: one, to: two) == nil)
    #expect(paper.step(two, log: [1, 2]) { _ in } == nil)
    paper.persisted[two] = 2
    #expect(paper.acknowledge(two, 2, to: one) == nil)
    #expect(paper.commit(one, 2) == nil)
    #expect(paper.commit(two, 2) == nil)
    #expect(paper.append(through: 2, from: one, to: three) == nil)
    #expect(paper.step(three, log: [1, 2]) { $0.term = Term(2) } == nil)
    #expect(paper.commit(three, 2) == nil)
  }

  @Test("Timeout: no campaign without a quorum of pre-votes, unless a leader asks for it")
  func campaigns() {
    var paper = Paper()
    #expect(paper.askForPreVotes(one, granted: []) == nil)
    #expect(paper.campaign(one, to: []) != nil)
    paper = .withLeader()
    #expect(paper.send(.timeoutNow, from: one, to: two, term: 2) == nil)
    #expect(paper.campaign(two, to: [one]) == nil)
    paper = .withLeader()
    paper.voters = [[one, two]]
    #expect(paper.step(three) { $0.role = .preCandidate } != nil, "it is no voter")
  }

  @Test("RequestVote: a vote is for one candidate, who has asked, and whose log is no older")
  func votes() {
    var paper = Paper.withLeader()
    #expect(paper.step(two) { $0.votedFor = three } != nil, "two votes in one term")
    paper = .withLeader()
    let grant = Message.voteReply(VoteReply(phase: .vote, granted: true))
    _ = paper.step(three) {
      $0.term = Term(2)
      $0.votedFor = two
    }
    #expect(paper.send(grant, from: three, to: two, term: 2) != nil, "nobody has asked")
    paper = Paper()
    paper.logs[two] = [1, 1]
    #expect(paper.askForPreVotes(one, granted: [three]) == nil)
    #expect(paper.campaign(one, to: [two]) == nil)
    #expect(paper.vote(two, for: one) != nil, "the voter's log is longer")
  }

  @Test("BecomeLeader: only with durable votes of a quorum")
  func leaders() {
    var paper = Paper()
    #expect(paper.askForPreVotes(one, granted: [two]) == nil)
    #expect(paper.campaign(one, to: [two, three]) == nil)
    var lonely = paper
    #expect(lonely.lead(one) != nil)
    #expect(paper.vote(two, for: one) == nil)
    paper.isDurable = false
    #expect(paper.lead(one) != nil, "its own vote is not durable")
    paper = .withLeader()
    let heartbeat = Message.heartbeat(Heartbeat(commit: .zero, round: 0))
    #expect(paper.send(heartbeat, from: two, to: three, term: 2) != nil, "another one leads")
  }

  @Test("UpdateTerm: terms rise, to what somebody has begun")
  func terms() {
    var paper = Paper.withLeader()
    #expect(paper.step(three) { $0.term = Term(2) } == nil)
    #expect(paper.step(three) { $0.term = Term(1) } != nil)
    paper = .withLeader()
    #expect(paper.step(three) { $0.term = Term(3) } != nil)
  }

  @Test("ClientRequest: a leader's log only grows, by entries of its term")
  func logs() {
    var paper = Paper.withLeader()
    #expect(paper.step(one, log: [1, 2, 2]) { _ in } == nil)
    #expect(paper.step(one, log: [1, 2]) { _ in } != nil)
    paper = .withLeader()
    #expect(paper.step(one, log: [1, 2, 1]) { _ in } != nil)
    paper = .withLeader()
    #expect(paper.step(two, log: [1, 3]) { $0.term = Term(2) } != nil, "nobody led term 3")
    paper = .withLeader()
    #expect(paper.step(two, log: []) { _ in } != nil, "entry 1 was committed")
  }

  @Test("AdvanceCommitIndex: a quorum has it durably, and it is of the leader's term")
  func commits() {
    var paper = Paper.withLeader()
    paper.persisted[one] = 2
    #expect(paper.commit(one, 2) != nil, "nobody has acknowledged it")
    paper = .withLeader()
    #expect(paper.append(through: 2, from: one, to: two) == nil)
    #expect(paper.acknowledge(two, 2, to: one) != nil, "it is not on its disk")
    paper = .withLeader()
    paper.store(two, [1, 2])
    #expect(paper.append(through: 2, from: one, to: two) == nil)
    #expect(paper.acknowledge(two, 2, to: one) == nil)
    #expect(paper.commit(one, 2) != nil, "it is not on the leader's disk, and on one other alone")
    paper = .withLeader()
    #expect(paper.commit(two, 2) != nil, "a follower commits first")
    paper = Paper()
    paper.logs[one] = [1, 1]
    #expect(paper.step(one) { _ in } == nil)
    #expect(paper.askForPreVotes(one, granted: [two]) == nil)
    #expect(paper.campaign(one, to: [two, three]) == nil)
    #expect(paper.vote(two, for: one) == nil)
    #expect(paper.lead(one) == nil)
    paper.persisted = [one: 3, two: 2, three: 1]
    _ = paper.step(two, log: [1, 1]) { _ in }
    #expect(paper.append(through: 2, from: one, to: two) == nil)
    #expect(paper.acknowledge(two, 2, to: one) == nil)
    #expect(paper.commit(one, 2) != nil, "an old term's entry, by counting")
  }

  @Test("HandleAppendEntries: what a follower only has, its leader has not vouched for")
  func vouching() {
    var paper = Paper.withLeader()
    paper.logs[two] = [1, 1, 1]
    #expect(paper.step(two) { _ in } == nil)
    paper.persisted = [one: 2, two: 3, three: 1]
    #expect(paper.append(through: 1, from: one, to: two) == nil)
    #expect(paper.acknowledge(two, 3, to: one) != nil, "the end of its own log")
    paper = .withLeader()
    paper.store(two, [1, 2])
    paper.isLost = true
    #expect(paper.append(through: 2, from: one, to: two) == nil)
    #expect(paper.acknowledge(two, 2, to: one) != nil, "what would have vouched for it was lost")
    paper = .withLeader()
    paper.store(two, [1, 2])
    #expect(paper.append(through: 2, from: one, to: two) == nil)
    paper.relation.didStart(two)
    #expect(paper.acknowledge(two, 2, to: one) != nil, "nothing has come since it started")
    paper = .withLeader()
    paper.store(two, [1, 1, 1])
    let misfit = AppendRequest(
      previous: EntryID(index: LogIndex(2), term: Term(2)), leaderCommit: .zero, round: 0, count: 1)
    #expect(paper.send(.append(misfit), from: one, to: two, term: 2) == nil)
    #expect(paper.acknowledge(two, 3, to: one) != nil, "it did not fit")
    paper = .withLeader()
    paper.committed = 2
    #expect(paper.append(through: 1, from: one, to: two) == nil)
    _ = paper.step(two, log: [1, 2]) { _ in }
    #expect(paper.commit(two, 2) != nil, "committed, but perhaps not what it has there")
    let chunk = SnapshotChunk(
      lastEntry: EntryID(index: LogIndex(2), term: Term(2)), offset: 0, size: 1, total: 1, round: 0)
    paper = .withLeader()
    paper.committed = 2
    #expect(paper.send(.snapshotChunk(chunk), from: one, to: two, term: 2) == nil)
    #expect(paper.step(two, log: [1, 2]) { $0.commit = LogIndex(2) } == nil)
  }
}
