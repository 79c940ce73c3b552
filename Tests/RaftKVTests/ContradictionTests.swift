import Testing

@testable import RaftKV

/// Messages that no peer sends that follows the rules: none is heard, and none ends the process.
@Suite("Contradiction")
struct ContradictionTests {
  private static let configuration = Configuration(
    members: (1...3).map(Configuration.Member.sample))

  private func id(_ index: UInt64, _ term: UInt64) -> EntryID {
    EntryID(index: LogIndex(index), term: Term(term))
  }

  /// Node 1 in term 5, with entries of these terms after `base`, of which `commit` are committed;
  /// it follows node 2.
  private func follower(base: EntryID? = nil, terms: [UInt64], commit: UInt64) -> Raft {
    let entries = terms.map { EntryHeader(term: Term($0), kind: .noop, size: 0) }
    let base = base ?? .zero
    var raft = Raft(
      id: NodeID(1), parameters: Parameters(),
      recovered: Raft.Recovered(
        hardState: HardState(currentTerm: Term(5)), base: base, entries: entries,
        snapshot: base == .zero ? nil : Raft.SnapshotInfo(lastEntry: base, total: 1),
        configuration: .init(index: .zero, configuration: Self.configuration)),
      seed: 1, at: .zero)
    var effects = Effects()
    let request = AppendRequest(
      previous: raft.outline.lastEntry, leaderCommit: LogIndex(commit), round: 1)
    raft.receive(envelope(2, 5, .append(request)), at: .zero, into: &effects)
    precondition(raft.commitIndex == LogIndex(commit) && effects.contradictions.isEmpty)
    return raft
  }

  private func envelope(_ sender: UInt64, _ term: UInt64, _ message: Message) -> Envelope {
    Envelope(from: NodeID(sender), to: NodeID(1), term: Term(term), message: message)
  }

  /// What is found wrong with a message; whatever it is, nothing else has come of it.
  private func claim(
    _ raft: inout Raft, _ sender: UInt64, _ term: UInt64, _ message: Message
  ) -> Contradiction.Claim? {
    let before = (raft.watermarks, raft.outline, raft.role)
    var effects = Effects()
    raft.receive(envelope(sender, term, message), at: .zero, into: &effects)
    guard let found = effects.contradictions.first else { return nil }
    #expect(effects.logEdits.isEmpty && effects.notices.isEmpty)
    let after = (raft.watermarks, raft.outline, raft.role)
    #expect(before == after)
    return found.sender == NodeID(sender) ? found.claim : nil
  }

  private func append(
    _ previous: EntryID, _ terms: [UInt64] = [], commit: UInt64 = 0
  ) -> Message {
    let entries = terms.map { EntryHeader(term: Term($0), kind: .noop, size: 0) }
    return .append(
      AppendRequest(
        previous: previous, leaderCommit: LogIndex(commit), round: 1, entries: entries))
  }

  private func chunk(_ last: EntryID) -> Message {
    .snapshotChunk(SnapshotChunk(lastEntry: last, offset: 0, size: 0, total: 9, round: 1))
  }

  @Test("§5.2 a second leader in the term of the one that is followed, or of our own")
  func secondLeader() {
    var raft = follower(terms: [1, 5], commit: 1)
    let beat = Message.heartbeat(Heartbeat(commit: .zero, round: 1))
    for message in [beat, append(id(2, 5)), chunk(id(9, 5))] {
      #expect(claim(&raft, 3, 5, message) == .secondLeader(Term(5)))
      #expect(claim(&raft, 2, 5, message) == nil)
    }
    #expect(claim(&raft, 3, 6, beat) == nil, "in a term of its own it may lead")

    let alone = Configuration(members: [.sample(1)])
    var leader = Raft(
      id: NodeID(1), parameters: Parameters(),
      recovered: Raft.Recovered(
        hardState: HardState(currentTerm: Term(4)),
        configuration: .init(index: .zero, configuration: alone)), seed: 1, at: .zero)
    var effects = Effects()
    leader.deadlinePassed(at: .zero, into: &effects)
    leader.flush(at: .zero, into: &effects)
    leader.didPersistHardState(leader.hardState, at: .zero, into: &effects)
    #expect(leader.role == .leader)
    for message in [beat, append(id(0, 0)), chunk(id(9, 5))] {
      #expect(claim(&leader, 2, 5, message) == .secondLeader(Term(5)))
    }
  }

  @Test("§5.4 a leader without what is committed, in its previous entry or in its entries")
  func lacksCommitted() {
    var raft = follower(terms: [1, 2, 3, 4], commit: 3)
    let lacks = Contradiction.Claim.lacksCommitted(id(3, 3))
    for term: UInt64 in [5, 9] {
      #expect(claim(&raft, 2, term, append(id(2, 1))) == lacks)
      #expect(claim(&raft, 2, term, append(id(0, 7))) == lacks)
      #expect(claim(&raft, 2, term, append(id(1, 1), [3])) == lacks)
      #expect(claim(&raft, 2, term, append(id(2, 2), [4, 4])) == lacks)
    }
    #expect(claim(&raft, 2, 5, append(id(4, 3))) == nil, "behind the commit it may differ")
    #expect(claim(&raft, 2, 5, append(id(0, 0), [1, 2, 3, 5])) == nil)
    #expect(raft.outline.lastEntry == id(4, 5))
  }

  @Test("entries that fall below the term at which our log was compacted")
  func belowBase() {
    var raft = follower(base: id(10, 4), terms: [5], commit: 10)
    let lacks = Contradiction.Claim.lacksCommitted(id(10, 4))
    #expect(claim(&raft, 2, 5, append(id(8, 1), [1, 1, 1])) == lacks)
    #expect(claim(&raft, 2, 5, append(id(9, 5), [5])) == lacks)
    #expect(claim(&raft, 2, 5, append(id(8, 1), [1])) == nil, "what is gone cannot be compared")
    #expect(claim(&raft, 2, 5, append(id(8, 1), [2, 4, 5])) == nil)
  }

  @Test("a snapshot that contradicts what is committed, or is later than its sender's term")
  func snapshots() {
    var raft = follower(terms: [1, 4], commit: 2)
    for last in [id(2, 3), id(1, 2), id(3, 3), id(3, 6)] {
      #expect(claim(&raft, 2, 5, chunk(last)) == .impossibleSnapshot(last))
    }
    for last in [id(2, 4), id(1, 1), id(3, 4), id(3, 5)] {
      #expect(claim(&raft, 2, 5, chunk(last)) == nil)
    }
  }

  @Test("an acknowledgement of entries that the leader never had")
  func matchBeyondLog() {
    var raft = follower(terms: [5], commit: 1)
    var effects = Effects()
    let later = Instant.zero + .seconds(9)
    raft.deadlinePassed(at: later, into: &effects)
    for phase in [VoteRequest.Phase.preVote, .vote] {
      let yes = VoteReply(phase: phase, granted: true)
      raft.receive(envelope(2, 6, .voteReply(yes)), at: later, into: &effects)
      raft.flush(at: later, into: &effects)
      if effects.hardState == raft.hardState {
        raft.didPersistHardState(raft.hardState, at: later, into: &effects)
        effects.hardState = nil
      }
    }
    #expect(raft.role == .leader)
    func matched(_ index: UInt64) -> Message {
      .appendReply(AppendReply(outcome: .matched(LogIndex(index)), round: 1))
    }
    #expect(claim(&raft, 2, 6, matched(3)) == .matchBeyondLog(LogIndex(3)))
    #expect(claim(&raft, 2, 6, matched(2)) == nil)
  }

  @Test("a configuration that no cluster can have is malformed on the wire")
  func configurations() {
    let member = Configuration.Member.sample
    var learner = member(2)
    learner.role = .learner
    var nobody = member(2)
    nobody.id = .none
    var nameless = member(2)
    nameless.name = ""
    var namesake = member(2)
    namesake.name = "n1"
    #expect(Configuration(members: [member(1), learner]).isSound)
    let unsound: [[Configuration.Member]] = [
      [], [learner], [member(1), member(1)], [member(1), nobody], [member(1), nameless],
      [member(1), namesake], (1...17).map(member),
    ]
    for members in unsound { #expect(!Configuration(members: members).isSound) }
    let counts = unsound.map { members in
      var payload = ByteBuffer()
      Configuration(members: members).encode(into: &payload)
      var records = ByteBuffer()
      records.append(
        recordKind: EntryKind.configuration.rawValue, id: id(1, 5), payload: payload.readable)
      let header = EntryHeader(
        term: Term(5), kind: .configuration, size: UInt32(payload.count))
      let request = AppendRequest(
        previous: .zero, leaderCommit: .zero, round: 0, entries: [header])
      var frame = ByteBuffer()
      frame.appendFrame(envelope(2, 5, .append(request)), payload: records.readable)
      return (try? FrameBox.read(Array(frame.readable), splitAt: 0)) == nil
    }
    #expect(counts.allSatisfy { $0 })
  }

  @Test("a vote that was not asked for: our own is not durable yet")
  func unaskedVote() {
    var raft = follower(terms: [4], commit: 0)
    var effects = Effects()
    raft.receive(envelope(2, 5, .timeoutNow), at: .zero, into: &effects)
    #expect(raft.role == .candidate && !raft.isHardStateDurable)
    let vote = Message.voteReply(VoteReply(phase: .vote, granted: true))
    #expect(claim(&raft, 2, 6, vote) == .unaskedVote(Term(6)))
    #expect(claim(&raft, 3, 6, vote) == .unaskedVote(Term(6)))
  }
}
