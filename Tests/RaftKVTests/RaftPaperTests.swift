import RaftKV
import Testing

/// What the paper demands, section by section; after the list of etcd's `raft_paper_test.go`.
@Suite("The Raft paper")
struct RaftPaperTests {
  // MARK: §5.1 Terms

  @Test("§5.1 a server of any role follows a newer term", arguments: [0, 1, 2])
  func newerTerm(role: Int) {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    let node = harness.node(1)
    if role > 0 { elect(1, in: harness, isFinished: role == 2) }
    harness.tell(1, from: 2, term: 9, .heartbeat(Heartbeat(commit: .zero, round: 1)))
    #expect(node.raft.role == .follower)
    #expect(node.raft.currentTerm == Term(9))
    #expect(node.raft.leader == NodeID(2))
    #expect(harness.failures.isEmpty)
  }

  @Test("§5.1 a request of a stale term is rejected, and its sender learns the term")
  func staleTerm() {
    let harness = RaftHarness.server(terms: [1, 3], term: 3)
    harness.tell(1, from: 2, term: 2, .append(harness.request(after: 1, [2], commit: 2)))
    #expect(harness.node(1).raft.outline.lastEntry == EntryID(index: LogIndex(2), term: Term(3)))
    #expect(harness.packets.map(\.envelope.term) == [Term(3)])
  }

  // MARK: §5.2 Elections

  @Test("§5.2 servers start as followers")
  func startsAsFollower() {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    #expect(harness.nodes.allSatisfy { $0.raft.role == .follower })
  }

  @Test("§5.2 a leader is heard by all within every heartbeat interval")
  func heartbeats() {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    elect(1, in: harness)
    for _ in 1...5 {
      let before = harness.now(at: harness.node(1))
      #expect(harness.node(1).raft.deadline <= before + harness.parameters.heartbeatInterval)
      harness.expire(1)
      let heartbeats = harness.packets.filter {
        if case .heartbeat = $0.envelope.message { true } else { false }
      }
      #expect(heartbeats.map(\.envelope.to) == [NodeID(2), NodeID(3)])
      harness.deliverAll()
    }
  }

  @Test("§5.2 without a leader a follower asks, and a candidate asks again in a new term")
  func startsElection() {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    harness.expire(1)
    #expect(harness.node(1).raft.role == .preCandidate)
    #expect(harness.node(1).raft.currentTerm == Term(1), "a pre-vote disturbs no term")
    elect(1, in: harness, isFinished: false)
    #expect(harness.node(1).raft.role == .candidate)
    #expect(harness.node(1).raft.votedFor == NodeID(1))
    harness.packets.removeAll()
    elect(1, in: harness, isFinished: false)
    #expect(harness.node(1).raft.currentTerm == Term(3))
  }

  private static let rounds: [(size: Int, votes: [Bool?], role: Role)] = [
    (1, [], .leader),
    (3, [true, true], .leader), (3, [true, nil], .leader), (3, [nil, nil], .candidate),
    (3, [false, false], .follower), (3, [false, nil], .candidate), (3, [false, true], .leader),
    (5, [true, true, true, true], .leader), (5, [true, true, nil, nil], .leader),
    (5, [true, nil, nil, nil], .candidate), (5, [false, false, false, nil], .follower),
    (5, [false, false, true, nil], .candidate), (5, [false, false, true, true], .leader),
  ]

  @Test(
    "§5.2 one round of votes makes a leader, a follower, or leaves a candidate", arguments: rounds)
  func oneRound(size: Int, votes: [Bool?], role: Role) {
    let harness = RaftHarness()
    harness.start(voters: size, count: size)
    elect(1, in: harness, isFinished: false)
    harness.packets.removeAll()
    for (offset, vote) in votes.enumerated() {
      guard let vote else { continue }
      let reply = VoteReply(phase: .vote, granted: vote)
      harness.tell(1, from: offset + 2, term: 2, .voteReply(reply))
    }
    #expect(harness.node(1).raft.role == role)
  }

  @Test("§5.2 a server votes at most once per term, first come, first served")
  func oneVote() {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    harness.wait(.milliseconds(400))
    let last = EntryID(index: LogIndex(1), term: Term(1))
    let request = Message.voteRequest(VoteRequest(phase: .vote, lastEntry: last))
    for candidate in [2, 3, 2] { harness.tell(1, from: candidate, term: 2, request) }
    let granted = harness.packets.compactMap { packet -> Bool? in
      if case .voteReply(let reply) = packet.envelope.message { reply.granted } else { nil }
    }
    #expect(granted == [true, false, true])
    harness.crash(1)
    harness.restart(1)
    #expect(harness.node(1).raft.votedFor == NodeID(2), "the vote survives a crash")
  }

  @Test("§5.2 a candidate recognises the leader of its term", arguments: [2, 3] as [UInt64])
  func candidateFallsBack(term: UInt64) {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    elect(1, in: harness, isFinished: false)
    harness.tell(1, from: 3, term: term, .append(harness.request(after: 1, [term], commit: 1)))
    let raft = harness.node(1)
    #expect(raft.raft.role == .follower)
    #expect(raft.raft.leader == NodeID(3))
    #expect(raft.raft.votedFor == (term == 2 ? NodeID(1) : .none), "cleared only by a new term")
  }

  @Test("§5.2 election timeouts are spread from one to two times the shortest")
  func spread() {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    let node = harness.node(1)
    var buckets = [0, 0, 0, 0]
    for _ in 1...1000 {
      harness.tell(1, from: 2, term: 2, .heartbeat(Heartbeat(commit: .zero, round: 1)))
      let wait = node.raft.deadline - harness.now(at: node)
      #expect(wait >= .milliseconds(300) && wait < .milliseconds(600))
      buckets[min(3, (wait.milliseconds - 300) / 75)] += 1
    }
    #expect(buckets.allSatisfy { $0 > 150 })
  }

  @Test("§5.2 two servers seldom time out together")
  func collisions() {
    var random = Random(seed: 5)
    var collisions = 0
    for _ in 1...1000 {
      let waits = (1...5).map { _ in
        random.interval(from: .milliseconds(300), to: .milliseconds(600)).milliseconds
      }.sorted()
      // Within ten milliseconds neither has heard the other yet.
      if waits[1] - waits[0] < 10 { collisions += 1 }
    }
    #expect(collisions <= 300)
  }

  // MARK: §5.3 Log replication

  @Test("§5.3 a leader sends entries with the one before them")
  func replication() {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    elect(1, in: harness)
    harness.propose(1, "x")
    let requests = harness.packets.compactMap { packet -> AppendRequest? in
      if case .append(let request) = packet.envelope.message { request } else { nil }
    }
    #expect(requests.count == 2)
    #expect(requests.allSatisfy { $0.previous == EntryID(index: LogIndex(2), term: Term(2)) })
    #expect(requests.allSatisfy { $0.entries.map(\.term) == [Term(2)] })
  }

  private static let acknowledgements: [(size: Int, from: [Int], isCommitted: Bool)] = [
    (1, [], true), (3, [], false), (3, [2], true), (3, [2, 3], true),
    (5, [], false), (5, [2], false), (5, [2, 3], true), (5, [2, 3, 4], true),
  ]

  @Test(
    "§5.3 an entry is committed once a majority has it, and what precedes it",
    arguments: acknowledgements)
  func commit(size: Int, from: [Int], isCommitted: Bool) {
    let harness = RaftHarness()
    harness.start(voters: size, count: size)
    elect(1, in: harness)
    harness.propose(1, "x")
    harness.propose(1, "y")
    harness.packets.removeAll()
    for follower in from {
      let reply = AppendReply(outcome: .matched(LogIndex(4)), round: 1)
      // Here the disks of the others are not asked.
      harness.tell(1, from: follower, term: 2, .appendReply(reply))
    }
    #expect(harness.node(1).raft.commitIndex == LogIndex(isCommitted ? 4 : 2))
    #expect(harness.node(1).applied == LogIndex(isCommitted ? 4 : 2))
  }

  @Test("§5.3 a follower applies what its leader has committed, in order")
  func followerApplies() {
    let harness = RaftHarness.server(terms: [1], term: 2)
    harness.isTracing = true
    harness.tell(1, from: 2, term: 2, .append(harness.request(after: 1, [2, 2, 2], commit: 3)))
    #expect(harness.node(1).applied == LogIndex(3))
    let applied = harness.trace.filter { $0.contains("applies") }
    #expect(applied == ["n1 applies 2@2 c", "n1 applies 3@2 c"])
  }

  private static let checks: [(previous: (Int, UInt64), outcome: AppendReply.Outcome)] = [
    // The follower has 1@1 2@2.
    ((1, 1), .matched(LogIndex(1))), ((2, 2), .matched(LogIndex(2))),
    ((2, 1), .conflict(previous: LogIndex(2), hint: RaftHarness.id(1, 1))),
    ((2, 4), .conflict(previous: LogIndex(2), hint: RaftHarness.id(2, 2))),
    ((3, 3), .conflict(previous: LogIndex(3), hint: RaftHarness.id(2, 2))),
  ]

  @Test("§5.3 a follower refuses entries that do not continue its log", arguments: checks)
  func consistency(previous: (Int, UInt64), outcome: AppendReply.Outcome) {
    let harness = RaftHarness.server(terms: [1, 2], term: 5)
    let request = AppendRequest(
      previous: RaftHarness.id(previous.0, previous.1), leaderCommit: .zero, round: 1)
    harness.tell(1, from: 2, term: 5, .append(request))
    let replies = harness.packets.compactMap { packet -> AppendReply.Outcome? in
      if case .appendReply(let reply) = packet.envelope.message { reply.outcome } else { nil }
    }
    #expect(replies == [outcome])
  }

  private static let overwrites: [(log: [UInt64], after: Int, sent: [UInt64], result: [UInt64])] = [
    ([1, 2, 2], 3, [3], [1, 2, 2, 3]), ([1, 2, 2], 2, [3, 4], [1, 2, 3, 4]),
    ([1, 2, 2], 1, [2], [1, 2, 2]), ([1, 2, 2], 1, [3], [1, 3]),
    ([1, 2, 2], 2, [2], [1, 2, 2]), ([1], 1, [2, 2, 3], [1, 2, 2, 3]),
  ]

  @Test(
    "§5.3 a follower appends, overwrites what conflicts, and nothing else", arguments: overwrites)
  func overwrite(log: [UInt64], after: Int, sent: [UInt64], result: [UInt64]) {
    let harness = RaftHarness.server(terms: log, term: 5)
    harness.tell(1, from: 2, term: 5, .append(harness.request(after: after, sent, commit: 0)))
    #expect(harness.node(1).log.entries.map(\.id.term.rawValue) == result)
    #expect(harness.node(1).raft.lastIndex == LogIndex(UInt64(result.count)))
    #expect(harness.node(1).disk.log.entries.map(\.id.term.rawValue) == result)
  }

  /// (a) to (f) of Figure 7.
  private static let figure7Logs: [[UInt64]] = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6], [1, 1, 1, 4], [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ]

  @Test("§5.3 a leader brings every log of Figure 7 in line with its own", arguments: figure7Logs)
  func figure7(follower: [UInt64]) {
    let harness = RaftHarness.server(terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6], term: 7)
    harness.give(2, terms: follower, term: 7)
    let crowd = harness.node(1)
    elect(1, in: harness)
    harness.deliverAll()
    for _ in 1...3 {
      harness.expire(1)
      harness.deliverAll()
    }
    #expect(crowd.raft.role == .leader)
    #expect(harness.node(2).log.entries.map(\.id) == crowd.log.entries.map(\.id))
    #expect(harness.node(2).raft.commitIndex == LogIndex(11))
  }

  // MARK: §5.4 Safety

  private static let voters: [(log: [UInt64], candidate: EntryID, granted: Bool)] = [
    ([1], RaftHarness.id(1, 1), true), ([1], RaftHarness.id(1, 2), true),
    ([1, 1], RaftHarness.id(1, 1), false), ([1], RaftHarness.id(2, 1), true),
    ([1], RaftHarness.id(2, 2), true), ([1, 1], RaftHarness.id(1, 2), true),
    ([1, 2], RaftHarness.id(2, 1), false), ([1, 2], RaftHarness.id(1, 2), false),
    ([1, 2], RaftHarness.id(9, 1), false), ([1, 1, 2], RaftHarness.id(3, 2), true),
    ([1, 1, 2], RaftHarness.id(2, 2), false),
  ]

  @Test("§5.4.1 a voter denies its vote to a candidate with an older log", arguments: voters)
  func upToDate(log: [UInt64], candidate: EntryID, granted: Bool) {
    for phase in [VoteRequest.Phase.preVote, .vote] {
      let harness = RaftHarness.server(terms: log, term: 3)
      harness.wait(.milliseconds(400))
      let request = VoteRequest(phase: phase, lastEntry: candidate)
      harness.tell(1, from: 2, term: 4, .voteRequest(request))
      let reply = VoteReply(phase: phase, granted: granted)
      #expect(harness.packets.map(\.envelope.message) == [.voteReply(reply)])
    }
  }

  @Test("§5.4.1 a vote request names the candidate's last entry")
  func requestNamesLast() {
    let harness = RaftHarness.server(terms: [1, 2, 2], term: 3)
    harness.expire(1)
    let request = VoteRequest(phase: .preVote, lastEntry: RaftHarness.id(3, 2))
    #expect(
      harness.packets.map(\.envelope.message) == [.voteRequest(request), .voteRequest(request)])
  }

  @Test("§5.4.2 entries of older terms are not committed by counting", arguments: [2, 3, 4])
  func olderTerms(matched: UInt64) {
    let harness = RaftHarness.server(terms: [1, 2, 2], term: 3)
    elect(1, in: harness, isFinished: false)
    harness.tell(1, from: 2, term: 4, .voteReply(VoteReply(phase: .vote, granted: true)))
    #expect(harness.node(1).raft.role == .leader)
    let reply = AppendReply(outcome: .matched(LogIndex(matched)), round: 1)
    harness.tell(1, from: 2, term: 4, .appendReply(reply))
    #expect(harness.node(1).raft.commitIndex == LogIndex(matched == 4 ? 4 : 0))
  }

  /// Elects `number`, or leaves it a candidate whose requests are on their way.
  private func elect(_ number: Int, in harness: RaftHarness, isFinished: Bool = true) {
    let raft = harness.node(number)
    harness.expire(number)
    for voter in raft.raft.configuration.voters where voter != raft.id {
      let reply = VoteReply(phase: .preVote, granted: true)
      harness.tell(
        number, from: Int(voter.rawValue), term: raft.raft.currentTerm.rawValue + 1,
        .voteReply(reply))
      if raft.raft.role == .candidate { break }
    }
    harness.packets.removeAll {
      guard case .voteRequest(let request) = $0.envelope.message else { return false }
      return request.phase == .preVote
    }
    if isFinished { harness.deliverAll() }
  }
}

extension RaftHarness {
  static func id(_ index: Int, _ term: UInt64) -> EntryID {
    EntryID(index: LogIndex(UInt64(index)), term: Term(term))
  }

  /// Three servers, of which the first has a log of these terms, beginning with the configuration.
  static func server(terms: [UInt64], term: UInt64) -> RaftHarness {
    let harness = RaftHarness()
    harness.start(voters: 3, count: 3)
    harness.give(1, terms: terms, term: term)
    return harness
  }

  func give(_ number: Int, terms: [UInt64], term: UInt64) {
    crash(number)
    let node = node(number)
    node.disk.hardState = HardState(currentTerm: Term(term))
    node.disk.log.entries.removeLast(node.disk.log.entries.count - 1)
    for (offset, term) in terms.enumerated().dropFirst() {
      node.disk.log.entries.append(
        StoredEntry(
          id: Self.id(offset + 1, term), kind: .command, command: "c",
          after: node.disk.log.lastChain))
    }
    restart(number)
    packets.removeAll()
  }

  /// Entries of these terms that follow what node 1 has at `index`, as a leader would send them.
  func request(after index: Int, _ terms: [UInt64], commit: Int) -> AppendRequest {
    let previous = id(at: index)
    return AppendRequest(
      previous: previous, leaderCommit: LogIndex(UInt64(commit)), round: 1,
      entries: terms.map { EntryHeader(term: Term($0), kind: .command, size: 1) })
  }

  private func id(at index: Int) -> EntryID {
    let index = LogIndex(UInt64(index))
    return EntryID(index: index, term: node(1).log.term(at: index) ?? .zero)
  }

  /// Hands a message to one server as if another had sent it.
  func tell(_ number: Int, from: Int, term: UInt64, _ message: Message) {
    var packet = Packet(
      envelope: Envelope(
        from: NodeID(UInt64(from)), to: NodeID(UInt64(number)), term: Term(term),
        message: message))
    if case .append(let request) = message {
      var chain = node(number).log.entry(at: request.previous.index)?.chain ?? 0
      for (offset, header) in request.entries.enumerated() {
        let entry = StoredEntry(
          id: EntryID(index: request.previous.index + (offset + 1), term: header.term),
          kind: header.kind, command: "c", after: chain)
        chain = entry.chain
        packet.entries.append(entry)
      }
    }
    deliver(packet)
  }

  func wait(_ interval: Interval) { time = time + interval }

  func deliverAll() {
    for _ in 0..<100 where !packets.isEmpty {
      let sent = packets
      packets.removeAll()
      for packet in sent { deliver(packet) }
    }
  }
}
