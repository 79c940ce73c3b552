import Testing

@testable import RaftKV

/// Mistakes that other implementations shipped, each as the message that would reveal it.
@Suite("Raft traps")
struct RaftTrapTests {
  private func cluster(_ voters: Int, of count: Int? = nil) -> RaftHarness {
    let harness = RaftHarness()
    harness.start(voters: voters, count: count ?? voters)
    return harness
  }

  /// Elects by real messages, and lets a heartbeat round pass.
  private func elect(_ number: Int, in harness: RaftHarness) {
    for _ in 1...2 {
      harness.expire(number)
      harness.deliverAll()
    }
  }

  private func hasLease(_ node: Node, in harness: RaftHarness) -> Bool {
    node.raft.hasLease(at: harness.now(at: node))
  }

  private func last<Payload>(_ harness: RaftHarness, _ pick: (Message) -> Payload?) -> Payload? {
    harness.packets.compactMap { pick($0.envelope.message) }.last
  }

  @Test("a pre-vote's late yes does not count in the election (A6)")
  func phases() {
    let harness = cluster(5)
    harness.expire(1)
    let yes = Message.voteReply(VoteReply(phase: .preVote, granted: true))
    for voter in 2...3 { harness.tell(1, from: voter, term: 2, yes) }
    #expect(harness.node(1).raft.role == .candidate)
    for voter in 4...5 { harness.tell(1, from: voter, term: 2, yes) }
    let stale = Message.voteReply(VoteReply(phase: .vote, granted: true))
    for voter in 2...5 { harness.tell(1, from: voter, term: 1, stale) }
    #expect(harness.node(1).raft.role == .candidate)
  }

  @Test("the same voter counts once, and a learner or a stranger not at all (A7)")
  func countedOnce() {
    let harness = cluster(5, of: 6)
    harness.expire(1)
    let yes = Message.voteReply(VoteReply(phase: .preVote, granted: true))
    for voter in [2, 2, 2, 6] { harness.tell(1, from: voter, term: 2, yes) }
    #expect(harness.node(1).raft.role == .preCandidate)
  }

  @Test("a refused AppendEntries is a sign of life all the same (A12)")
  func refusalIsContact() {
    let harness = cluster(3)
    harness.wait(.milliseconds(250))
    let request = AppendRequest(previous: RaftHarness.id(9, 1), leaderCommit: .zero, round: 1)
    harness.tell(1, from: 2, term: 1, .append(request))
    let node = harness.node(1)
    #expect(node.raft.deadline - harness.now(at: node) >= harness.parameters.electionTimeout)
    let hearsLeader = node.raft.hearsLeader(at: harness.now(at: node))
    #expect(hearsLeader)
  }

  @Test("a timer that fires early does nothing (A14)")
  func earlyTimer() {
    let harness = cluster(3)
    harness.deadlinePassed(1)
    #expect(harness.node(1).raft.role == .follower)
    #expect(harness.packets.isEmpty)
  }

  @Test("the match index is what the request vouched for, not the follower's last (B3)")
  func divergentTail() {
    let harness = RaftHarness.server(terms: [1, 2, 2, 2], term: 3)
    harness.tell(1, from: 2, term: 3, .append(harness.request(after: 2, [], commit: 4)))
    let outcome = last(harness) { message -> AppendReply.Outcome? in
      if case .appendReply(let reply) = message { reply.outcome } else { nil }
    }
    #expect(outcome == .matched(LogIndex(2)))
    #expect(harness.node(1).raft.commitIndex == LogIndex(2), "nor is the rest committed (B4)")
  }

  @Test("a heartbeat commits nothing that this term's leader has not vouched for (B4)")
  func unverifiedHeartbeat() {
    let harness = RaftHarness.server(terms: [1, 2, 2], term: 3)
    harness.tell(1, from: 2, term: 3, .heartbeat(Heartbeat(commit: LogIndex(3), round: 1)))
    #expect(harness.node(1).raft.commitIndex == .zero)
  }

  @Test(
    "an answer below the match index, or from a stranger, changes nothing (B5, B7)")
  func oddAnswers() {
    let harness = cluster(3, of: 4)
    elect(1, in: harness)
    harness.propose(1, "x")
    harness.deliverAll()
    let before = harness.node(1).raft.leadership?.progress(of: NodeID(2))
    #expect(before?.matchIndex == LogIndex(3))
    let odd: [AppendReply.Outcome] = [
      .conflict(previous: LogIndex(2), hint: RaftHarness.id(1, 1)),
      .conflict(previous: LogIndex(3), hint: .zero), .matched(LogIndex(1)),
    ]
    for outcome in odd {
      harness.tell(1, from: 2, term: 2, .appendReply(AppendReply(outcome: outcome, round: 1)))
    }
    let reply = AppendReply(outcome: .matched(LogIndex(3)), round: 1)
    harness.tell(1, from: 4, term: 2, .appendReply(reply))
    let after = harness.node(1).raft.leadership?.progress(of: NodeID(2))
    #expect(after?.matchIndex == before?.matchIndex)
    #expect(after?.nextIndex == before?.nextIndex)
    #expect(harness.node(1).raft.commitIndex == LogIndex(3))
    #expect(harness.failures.isEmpty)
  }

  @Test("a message for another life of this node is not ours (B15)")
  func wrongAddressee() {
    let harness = cluster(3)
    let node = harness.node(1)
    let envelope = Envelope(
      from: NodeID(2), to: NodeID(77), term: Term(9),
      message: .heartbeat(Heartbeat(commit: .zero, round: 1)))
    harness.happen(at: node) { $0.raft.receive(envelope, at: $1, into: &$0.effects) }
    #expect(node.raft.currentTerm == Term(1))
  }

  @Test("reads of a lost leadership are not confirmed by the next one (C2, C3)")
  func readsDie() {
    let harness = cluster(3)
    elect(1, in: harness)
    harness.isTracing = true
    harness.read(1)
    harness.packets.removeAll()
    harness.tell(1, from: 2, term: 7, .heartbeat(Heartbeat(commit: .zero, round: 1)))
    elect(1, in: harness)
    #expect(harness.node(1).reads.isEmpty)
    #expect(!harness.trace.contains { $0.contains("confirms") })
  }

  @Test("a configuration change ends the lease until the new quorum has answered (C4)")
  func leaseAndMembership() {
    let harness = cluster(3, of: 4)
    elect(1, in: harness)
    let leader = harness.node(1)
    #expect(hasLease(leader, in: harness))
    harness.change(1, .remove(NodeID(3)))
    #expect(!hasLease(leader, in: harness))
    harness.deliverAll()
    harness.expire(1)
    harness.deliverAll()
    #expect(hasLease(leader, in: harness))
  }

  @Test("no change before an entry of the leader's own term is committed (D1)")
  func ownTermFirst() {
    // The published interleavings all begin so: a leader of a new term, which knows of an
    // uncommitted change or of none, appends another (add/add, add/remove, remove/remove).
    let changes: [Raft.Change] = [
      .add(RaftHarness.member(4, role: .learner)), .remove(NodeID(3)), .promote(NodeID(4)),
    ]
    for change in changes {
      let harness = cluster(3, of: 4)
      harness.expire(1)
      let yes = VoteReply(phase: .preVote, granted: true)
      harness.tell(1, from: 2, term: 2, .voteReply(yes))
      harness.tell(1, from: 2, term: 2, .voteReply(VoteReply(phase: .vote, granted: true)))
      #expect(harness.node(1).raft.role == .leader)
      #expect(!harness.change(1, change))
      #expect(harness.node(1).raft.configurations.currentIndex == LogIndex(1))
    }
  }

  @Test("one uncommitted change at a time, whatever the two are (D1)", arguments: [0, 1])
  func oneChange(second: Int) {
    let harness = cluster(3, of: 5)
    elect(1, in: harness)
    #expect(harness.change(1, .remove(NodeID(2))))
    let changes: [Raft.Change] = [
      .add(RaftHarness.member(4, role: .learner)), .remove(NodeID(3)),
    ]
    #expect(!harness.change(1, changes[second]))
    harness.deliverAll()
    #expect(harness.change(1, changes[second]))
    #expect(harness.failures.isEmpty)
  }

  @Test("the last voter cannot be removed, nor a stranger")
  func refusedChanges() {
    let harness = cluster(1)
    elect(1, in: harness)
    #expect(!harness.change(1, .remove(NodeID(1))))
    #expect(!harness.change(1, .remove(NodeID(9))))
  }

  @Test("a reconnecting follower is not sent the whole log by a new leader")
  func reconnect() {
    let harness = cluster(3)
    elect(1, in: harness)
    for number in 1...5 { harness.propose(1, "x\(number)") }
    harness.deliverAll()
    harness.crash(1)
    harness.expire(2)
    // Elected, and its first messages to n3 are lost with the connection.
    for _ in 1...4 {
      let sent = harness.packets
      harness.packets.removeAll()
      for packet in sent where harness.node(2).raft.role != .leader { harness.deliver(packet) }
    }
    #expect(harness.node(2).raft.role == .leader)
    harness.disconnect(2, 3)
    harness.connect(2, 3)
    let request = last(harness) { if case .append(let request) = $0 { request } else { nil } }
    #expect(request?.previous == RaftHarness.id(7, 2))
  }

  @Test("a stale TimeoutNow, or one that is not the leader's, is ignored (E4)")
  func staleTimeoutNow() {
    let harness = cluster(3)
    elect(1, in: harness)
    harness.tell(2, from: 1, term: 1, .timeoutNow)
    harness.tell(2, from: 3, term: 2, .timeoutNow)
    #expect(harness.node(2).raft.role == .follower)
    #expect(harness.node(2).raft.currentTerm == Term(2))
  }

  @Test("an older snapshot takes nothing back, and is answered with what we have (F3)")
  func olderSnapshot() {
    let harness = RaftHarness.server(terms: [1, 2, 2, 2], term: 2)
    harness.tell(1, from: 2, term: 2, .append(harness.request(after: 4, [], commit: 4)))
    harness.packets.removeAll()
    let chunk = SnapshotChunk(
      lastEntry: RaftHarness.id(3, 2), offset: 0, size: 10, total: 30, round: 1)
    harness.tell(1, from: 2, term: 2, .snapshotChunk(chunk))
    #expect(harness.node(1).storing.isEmpty)
    #expect(harness.node(1).raft.lastIndex == LogIndex(4))
    let outcome = last(harness) { message -> AppendReply.Outcome? in
      if case .appendReply(let reply) = message { reply.outcome } else { nil }
    }
    #expect(outcome == .matched(LogIndex(4)))
  }

  @Test("a chunk out of turn is answered with the offset wanted, and stored once (F4)")
  func chunks() {
    let harness = RaftHarness.server(terms: [1], term: 2)
    let node = harness.node(1)
    let first = chunk(at: 0)
    harness.tell(1, from: 2, term: 2, .snapshotChunk(chunk(at: 10)))
    #expect(wantedOffset(harness) == 0)
    harness.tell(1, from: 2, term: 2, .snapshotChunk(first))
    harness.tell(1, from: 2, term: 2, .snapshotChunk(first))
    #expect(node.storing.count == 1)
    harness.persistSnapshot(1)
    #expect(wantedOffset(harness) == 10)
    harness.tell(1, from: 2, term: 2, .snapshotChunk(first))
    #expect(node.storing.isEmpty)
    #expect(wantedOffset(harness) == 10)
    // A new term begins anew: its leader may mean another snapshot.
    harness.tell(1, from: 3, term: 3, .snapshotChunk(chunk(at: 10)))
    #expect(wantedOffset(harness) == 0)
  }

  @Test("a snapshot that the log has outrun is given up, unless it has come whole (F3, F5)")
  func outrunSnapshot() {
    for chunks in 1...3 {
      let harness = RaftHarness.server(terms: [1], term: 2)
      for number in 0..<chunks {
        harness.tell(1, from: 2, term: 2, .snapshotChunk(chunk(at: UInt64(number) * 10)))
        if number < 2 { harness.persistSnapshot(1) }
      }
      let terms = Array(repeating: UInt64(2), count: 8)
      harness.tell(1, from: 2, term: 2, .append(harness.request(after: 1, terms, commit: 9)))
      #expect((harness.node(1).raft.incomingSnapshot != nil) == (chunks == 3))
    }
  }

  private func chunk(at offset: UInt64) -> SnapshotChunk {
    SnapshotChunk(lastEntry: RaftHarness.id(9, 2), offset: offset, size: 10, total: 30, round: 1)
  }

  private func wantedOffset(_ harness: RaftHarness) -> UInt64? {
    last(harness) { if case .snapshotReply(let reply) = $0 { reply.offset } else { nil } }
  }

  @Test("a loop that stood still does not campaign before it has read what waits (H1)")
  func stall() {
    let harness = cluster(3)
    elect(1, in: harness)
    harness.wait(.seconds(2))
    harness.happen(at: harness.node(2)) { $0.raft.didStall(at: $1) }
    harness.deadlinePassed(2)
    #expect(harness.node(2).raft.role == .follower)
    harness.happen(at: harness.node(1)) { $0.raft.didStall(at: $1) }
    harness.deadlinePassed(1)
    #expect(harness.node(1).raft.role == .leader)
  }
}
