import Testing

@testable import RaftKV

/// Members that move, and what is recorded of it.
@Suite("Replica: addresses")
struct ReplicaAddressTests {
  @Test("a member's new addresses are recorded once it answers there; a stranger's never (D12)")
  func addresses() throws {
    let bench = try ReplicaBench(voters: 2...2)
    bench.lead(votes: [2])
    bench.connect(2) {
      $0.raftAddress = "new:1"
      $0.httpAddress = "new:2"
    }
    #expect(bench.wire.inquiries.map(\.address) == ["new:1"])
    bench.wire.inquiries[0].completion(.success(bench.description(99, "node2")))
    bench.turn()
    #expect(bench.node.raft.configuration.member(NodeID(2))?.raftAddress == "h2:1")
    bench.connect(2) {
      $0.raftAddress = "new:1"
      $0.httpAddress = "new:2"
    }
    bench.wire.inquiries[1].completion(
      .success(bench.description(2, "node2", since: 1, raft: "new:1", http: "new:2")))
    bench.turn()
    #expect(bench.node.raft.configuration.member(NodeID(2))?.raftAddress == "new:1")
    #expect(bench.node.raft.configuration.member(NodeID(2))?.httpAddress == "new:2")
  }

  @Test("who does not know yet that it is a member cannot overrule what /join was told")
  func givenAddresses() throws {
    let bench = try ReplicaBench(voters: 2...2)
    bench.lead(votes: [2])
    bench.connect(2) {
      $0.memberSince = .zero
      $0.raftAddress = "flags:1"
      $0.httpAddress = "flags:2"
    }
    #expect(bench.wire.inquiries.isEmpty)
  }

  @Test("an entry that changes our own addresses is what we say of ourselves from then on")
  func ownAddresses() throws {
    let bench = try ReplicaBench()
    bench.lead(votes: [])
    let request = bench.ask(.join(name: "node1", raftAddress: "given:1", httpAddress: "given:2"))
    bench.wire.inquiries[0].completion(.success(bench.description(1, "node1")))
    bench.turn()
    #expect(bench.answer(request) == "joined node1")
    #expect(bench.node.localIdentity.raftAddress == "given:1")
    #expect(bench.node.localIdentity.httpAddress == "given:2")
    // It does not talk itself back into its flags.
    bench.pass(.milliseconds(500))
    #expect(bench.node.raft.configuration.member(NodeID(1))?.raftAddress == "given:1")
  }

  @Test("what we said before our start does not count when we catch up on it (D12)")
  func ownHistory() throws {
    let bench = try ReplicaBench(voters: 2...2) { $0.raftAddress = "flags:1" }
    bench.connect(2)
    bench.hearConfiguration(isCommitted: true) { $0.members[0].raftAddress = "before:1" }
    #expect(bench.node.raft.configuration.member(NodeID(1))?.raftAddress == "before:1")
    #expect(bench.node.localIdentity.raftAddress == "flags:1")
    // It was even removed meanwhile, and joined again.
    var member: Configuration.Member?
    bench.hearConfiguration(isCommitted: true) { member = $0.members.removeFirst() }
    member?.memberSince = LogIndex(9)
    bench.hearConfiguration(isCommitted: true) { $0.members.insert(member!, at: 0) }
    #expect(bench.node.localIdentity.raftAddress == "flags:1")
    #expect(bench.wire.greetings == 1, "an earlier member is not believed")
    bench.pass(.seconds(2))
    bench.hearConfiguration { $0.members[0].raftAddress = "given:1" }
    #expect(bench.node.localIdentity.raftAddress == "given:1")
    #expect(bench.wire.greetings == 2, "its peers have heard something else")
    // Another leader takes that back.
    let previous = bench.node.raft.outline.lastEntry.index.previous
    let header = EntryHeader(term: Term(3), kind: .noop, size: 0)
    let request = AppendRequest(
      previous: EntryID(index: previous, term: Term(2)), leaderCommit: .zero, round: 1,
      entries: [header])
    var records = ByteBuffer()
    records.append(
      EntryRecord(
        kind: .noop, id: EntryID(index: previous.next, term: Term(3)), payload: .empty))
    bench.hear(.append(request), from: 3, term: Term(3), payload: records)
    #expect(bench.node.raft.configuration.member(NodeID(1))?.raftAddress == "before:1")
    #expect(bench.node.localIdentity.raftAddress == "flags:1")
    #expect(bench.wire.greetings == 3)
  }

  @Test("a configuration in another's place, of the same index, is noticed")
  func sameIndex() throws {
    let bench = try ReplicaBench(voters: 2...3)
    bench.connect(2)
    let base = bench.node.raft.outline.lastEntry
    bench.hearConfiguration { $0.members[1].raftAddress = "two:1" }
    #expect(bench.wire.peers.first { $0.id == NodeID(2) }?.raftAddress == "two:1")
    bench.hearConfiguration(from: 3, in: Term(3), of: Term(3), after: base) {
      $0.members[1].raftAddress = "three:1"
    }
    #expect(bench.wire.peers.first { $0.id == NodeID(2) }?.raftAddress == "three:1")
  }

  @Test("a move that waits for its turn is not recorded once a newer entry has another (D12)")
  func overtakenMove() throws {
    let bench = try ReplicaBench(voters: 2...2)
    bench.lead(votes: [2])
    bench.ask(.join(name: "node2", raftAddress: "given:1", httpAddress: "given:2"))
    bench.connect(2) { $0.raftAddress = "moved:1" }
    bench.wire.inquiries[0].completion(.success(bench.description(2, "node2")))
    bench.turn()
    bench.acknowledge(2)
    bench.pass(.milliseconds(50))
    #expect(bench.node.raft.configuration.member(NodeID(2))?.raftAddress == "given:1")
    #expect(bench.wire.inquiries.map(\.address) == ["given:1"])
  }

  @Test("who said where it is before we knew it as a member is asked again once we do (D12)")
  func askedAgain() throws {
    let bench = try ReplicaBench(voters: 2...3)
    bench.connect(2)
    for number in [4, 5] {
      bench.connect(number) {
        $0.memberSince = LogIndex(9)
        if number == 4 { $0.raftAddress = "moved:1" }
      }
    }
    for number in [4, 5] {
      bench.hearConfiguration(isCommitted: true) {
        var member = ReplicaBench.member(number, .voter)
        member.memberSince = LogIndex(9)
        $0.members.append(member)
      }
    }
    #expect(bench.wire.askedAgain == [NodeID(4)], "what the other says is known already")
    bench.pass(.seconds(2))
    bench.lead(votes: [2, 3])
    #expect(bench.node.raft.role == .leader)
    #expect(bench.wire.askedAgain == [NodeID(4)], "once")
  }

  @Test("who moved while our disk was replaced says so to who was here before us (D12)")
  func moveSaidToFormerNode() throws {
    let bench = try ReplicaBench(voters: 2...2)
    bench.lead(votes: [2])
    let local = bench.node.localIdentity
    var member = LocalIdentity(
      cluster: local.cluster, name: "node2", id: NodeID(2),
      memberSince: bench.node.raft.configuration.member(NodeID(2))!.memberSince, nonce: 7,
      raftAddress: "moved:1", httpAddress: "moved:2")
    let former = Hello.Party(name: local.name, id: NodeID(99), memberSince: .init(1))
    func knock() {
      let hello = Hello(from: member, to: former, purpose: .messages)
      guard
        case .refuse(let refusal) = Handshake.judge(
          hello, local: local, configuration: bench.node.configuration)
      else { return #expect(Bool(false), "it dialled another incarnation") }
      bench.node.didRefuse(hello, refusal)
      bench.pass(.milliseconds(50))
    }
    member.cluster = ClusterID(4711)
    knock()
    #expect(bench.wire.inquiries.isEmpty, "a stranger")
    member.cluster = local.cluster
    for _ in 0..<3 { knock() }
    #expect(bench.wire.inquiries.map(\.address) == ["moved:1"])
    bench.wire.inquiries[0].completion(
      .success(bench.description(2, "node2", since: 1, raft: "moved:1", http: "moved:2")))
    bench.turn()
    bench.acknowledge(2)
    #expect(bench.node.raft.configuration.member(NodeID(2))?.raftAddress == "moved:1")
    bench.pass(.seconds(3))
    #expect(bench.wire.inquiries.count == 1, "it is asked once, however often it knocks")
  }

  @Test("what a leader had not committed yet when we caught up is no operator's word either (D12)")
  func latestHistory() throws {
    let bench = try ReplicaBench(voters: 2...2) { $0.raftAddress = "flags:1" }
    bench.connect(2)
    let last = bench.node.raft.outline.lastEntry
    let probe = AppendRequest(previous: last, leaderCommit: last.index, round: 1, entries: [])
    bench.hear(.append(probe), from: 2, term: Term(2))
    #expect(bench.node.appliedIndex == last.index)
    bench.hearConfiguration { $0.members[0].raftAddress = "before:1" }
    #expect(bench.node.localIdentity.raftAddress == "flags:1")
  }

  @Test("a hello from before an entry does not take it back: not after the next election either")
  func oldHello() throws {
    let bench = try ReplicaBench(voters: 2...2)
    bench.lead(votes: [2])
    bench.connect(2)
    bench.ask(.join(name: "node2", raftAddress: "given:1", httpAddress: "given:2"))
    bench.wire.inquiries[0].completion(.success(bench.description(2, "node2")))
    bench.turn()
    bench.acknowledge(2)
    #expect(bench.node.raft.configuration.member(NodeID(2))?.raftAddress == "given:1")
    bench.depose(by: 2)
    bench.lead(votes: [2])
    #expect(bench.node.raft.role == .leader)
    bench.pass(.seconds(3))
    #expect(bench.wire.inquiries.count == 1)
  }

  // MARK: Reports

  private func reports(_ bench: ReplicaBench, to leader: Int) -> [MoveReport] {
    bench.wire.sent.compactMap {
      guard case .moved(let report) = $0.message else { return nil }
      return $0.to == NodeID(UInt64(leader)) ? report : nil
    }
  }

  @Test("a follower tells each leader where a member is, until that is recorded (D12)")
  func reported() throws {
    let bench = try ReplicaBench(voters: 2...4)
    bench.wire.away = [NodeID(2)]
    func hearLeader(_ leader: Int, term: Int) {
      bench.hear(
        .heartbeat(Heartbeat(commit: .zero, round: 1)), from: leader, term: Term(UInt64(term)))
    }
    bench.connect(3) {
      $0.raftAddress = "moved:1"
      $0.httpAddress = "moved:2"
    }
    let report = MoveReport(
      member: NodeID(3), memberSince: LogIndex(1), raftAddress: "moved:1", httpAddress: "moved:2")
    hearLeader(2, term: 2)
    #expect(reports(bench, to: 2) == [report])
    hearLeader(2, term: 2)
    #expect(reports(bench, to: 2).count == 1, "not with every turn")
    for _ in 0..<10 {
      bench.pass(.milliseconds(300))
      hearLeader(2, term: 2)
    }
    #expect(reports(bench, to: 2) == [report, report], "it may have been lost")
    hearLeader(4, term: 3)
    #expect(reports(bench, to: 4) == [report])
    bench.hearConfiguration(from: 4, in: Term(3), of: Term(3)) {
      $0.members[2].raftAddress = "moved:1"
      $0.members[2].httpAddress = "moved:2"
    }
    for _ in 0..<10 {
      bench.pass(.milliseconds(300))
      hearLeader(4, term: 3)
    }
    #expect(reports(bench, to: 4).count == 1 && reports(bench, to: 2).count == 2)
    #expect(bench.wire.inquiries.isEmpty, "only a leader looks")
  }

  @Test("a configuration that is taken back makes an old hello news again, for the leader (D12)")
  func reportedAfterRollback() throws {
    let bench = try ReplicaBench(voters: 2...4)
    let base = bench.node.raft.outline.lastEntry
    bench.connect(3) { $0.raftAddress = "moved:1" }
    bench.hearConfiguration { $0.members[2].raftAddress = "moved:1" }
    #expect(bench.node.raft.configuration.member(NodeID(3))?.raftAddress == "moved:1")
    bench.hear(.heartbeat(Heartbeat(commit: .zero, round: 1)), from: 4, term: Term(3))
    #expect(reports(bench, to: 4).isEmpty)
    var records = ByteBuffer()
    let id = EntryID(index: base.index.next, term: Term(3))
    records.append(EntryRecord(kind: .noop, id: id, payload: .empty))
    let header = EntryHeader(term: Term(3), kind: .noop, size: 0)
    let request = AppendRequest(
      previous: base, leaderCommit: .zero, round: 1, entries: [header])
    bench.hear(.append(request), from: 4, term: Term(3), payload: records)
    #expect(bench.node.raft.configuration.member(NodeID(3))?.raftAddress == "h3:1")
    #expect(reports(bench, to: 4).map(\.raftAddress) == ["moved:1"])
  }

  @Test(
    "a member that connects while it is looked for is found all the same (D12)",
    arguments: [true, false])
  func connectedMeanwhile(_ isFound: Bool) throws {
    let bench = try ReplicaBench(voters: 2...4)
    for member in [2, 4] { bench.connect(member) }
    bench.lead(votes: [2, 4])
    bench.wire.away = [NodeID(3)]
    let report = MoveReport(
      member: NodeID(3), memberSince: LogIndex(1), raftAddress: "moved:1", httpAddress: "moved:2")
    bench.hear(.moved(report), from: 2)
    bench.wire.away = []
    bench.connect(3) {
      $0.raftAddress = "moved:1"
      $0.httpAddress = "moved:2"
    }
    #expect(bench.wire.inquiries.map(\.address) == ["moved:1"])
    let found = bench.description(3, "node3", since: 1, raft: "moved:1", http: "moved:2")
    bench.wire.inquiries[0].completion(isFound ? .success(found) : .failure(.timedOut))
    bench.turn()
    if !isFound {
      for _ in 0..<30 {
        bench.pass(.milliseconds(100))
        for follower in [2, 4] { bench.answerHeartbeat(follower) }
      }
      try #require(bench.wire.inquiries.count == 2)
      bench.wire.inquiries[1].completion(.success(found))
      bench.turn()
    }
    #expect(bench.node.raft.configuration.member(NodeID(3))?.raftAddress == "moved:1")
  }

  @Test("a leader looks where a follower says that a member is; what it says there counts (D12)")
  func lookedUp() throws {
    let bench = try ReplicaBench(voters: 2...4)
    for member in [2, 4] { bench.connect(member) }
    bench.lead(votes: [2, 4])
    func hear(from follower: Int, _ change: (inout MoveReport) -> Void = { _ in }) {
      var report = MoveReport(
        member: NodeID(3), memberSince: LogIndex(1), raftAddress: "moved:1",
        httpAddress: "moved:2")
      change(&report)
      bench.hear(.moved(report), from: follower)
    }
    hear(from: 2)
    #expect(bench.wire.inquiries.isEmpty, "who is connected has told us itself")
    bench.wire.away = [NodeID(3)]
    hear(from: 2) { $0.memberSince = LogIndex(2) }
    hear(from: 2) { $0.member = NodeID(9) }
    hear(from: 2) { $0.raftAddress = "nowhere" }
    hear(from: 2) { $0.member = NodeID(1) }
    hear(from: 9)
    hear(from: 2) {
      $0.raftAddress = "h3:1"
      $0.httpAddress = "h3:2"
    }
    #expect(bench.wire.inquiries.isEmpty, "nothing to look at")
    hear(from: 2)
    hear(from: 4)
    hear(from: 2)
    #expect(bench.wire.inquiries.map(\.address) == ["moved:1"], "once")
    // It has other flags by now.
    bench.wire.inquiries[0].completion(
      .success(bench.description(3, "node3", since: 1, raft: "later:1", http: "moved:2")))
    bench.turn()
    hear(from: 4)
    #expect(bench.wire.inquiries.count == 1, "not again at once")
    hear(from: 4) { $0.raftAddress = "later:1" }
    #expect(bench.wire.inquiries.count == 2, "another word is another matter")
    bench.wire.inquiries[1].completion(
      .success(bench.description(3, "node3", since: 2, raft: "later:1", http: "moved:2")))
    bench.turn()
    #expect(bench.node.raft.configuration.member(NodeID(3))?.raftAddress == "h3:1")
    for _ in 0..<30 {
      bench.pass(.milliseconds(100))
      for follower in [2, 4] { bench.answerHeartbeat(follower) }
    }
    hear(from: 4)
    try #require(bench.wire.inquiries.map(\.address) == ["moved:1", "later:1", "moved:1"])
    bench.wire.inquiries[2].completion(
      .success(bench.description(3, "node3", since: 1, raft: "moved:1", http: "moved:2")))
    bench.turn()
    #expect(bench.node.raft.configuration.member(NodeID(3))?.raftAddress == "moved:1")
    #expect(bench.node.raft.configuration.member(NodeID(3))?.httpAddress == "moved:2")
  }
}
