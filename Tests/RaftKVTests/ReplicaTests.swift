import Testing

@testable import RaftKV

/// The driver alone: what it makes of answers that come late, of disks that are slow, and of
/// members that say strange things.
@Suite("Replica")
struct ReplicaTests {
  private func join(_ name: String) -> ClientRequest {
    .join(name: name, raftAddress: "x:1", httpAddress: nil)
  }

  // MARK: Joins

  @Test("a dial answered after leadership was lost and won again is nobody's any more")
  func staleDial() throws {
    let bench = try ReplicaBench(voters: 2...3)
    for member in 2...3 { bench.connect(member) }
    bench.lead(votes: [2])
    let first = bench.ask(join("old"))
    #expect(bench.wire.inquiries.map(\.name) == ["old"])
    bench.depose(by: 3)
    #expect(bench.answer(first) == "503 no_leader")
    bench.pass(.seconds(2))
    bench.lead(votes: [2])
    #expect(bench.node.raft.role == .leader)
    let second = bench.ask(join("new"))
    #expect(bench.wire.inquiries.map(\.name) == ["old", "new"])
    let before = bench.node.raft.lastIndex

    bench.wire.inquiries[0].completion(.success(bench.description(77, "old")))
    bench.turn()
    #expect(bench.node.raft.lastIndex == before, "nothing is appended for it")
    bench.wire.inquiries[1].completion(.success(bench.description(88, "new")))
    bench.turn()
    #expect(bench.node.raft.lastIndex == before.next)
    #expect(bench.node.raft.configuration.member(NodeID(88))?.name == "new")
    #expect(!bench.node.raft.configuration.contains(NodeID(77)))
    #expect(bench.answer(second) == nil, "it is not caught up yet")
  }

  @Test("a cluster has at most sixteen members; one more is refused before anything is written")
  func tooMany() throws {
    let bench = try ReplicaBench(learners: 2...Configuration.maximumMembers)
    bench.lead(votes: [])
    let before = bench.node.raft.lastIndex
    let request = bench.ask(join("node17"))
    bench.wire.inquiries[0].completion(.success(bench.description(17, "node17")))
    bench.turn()
    #expect(bench.answer(request) == "409 too_many_members")
    #expect(bench.node.raft.lastIndex == before)
  }

  @Test("joins wait in a queue of sixteen; more get 429, and the next begins when one has failed")
  func queue() throws {
    let bench = try ReplicaBench()
    bench.lead(votes: [])
    let requests = (0..<20).map { bench.ask(join("n\($0)")) }
    #expect(requests.map { bench.answer($0) == "429 too_many_changes" }.filter { $0 }.count == 3)
    #expect(bench.wire.inquiries.count == 1)
    bench.wire.inquiries[0].completion(.failure(.notAPeer("HTTP")))
    bench.pass(.seconds(4))
    bench.wire.inquiries.last?.completion(.failure(.notAPeer("HTTP")))
    bench.turn()
    #expect(bench.answer(requests[0]) == "504 unreachable")
    #expect(bench.wire.inquiries.last?.name == "n1")
  }

  @Test("a move that could not be confirmed is looked at again while its node is connected (D12)")
  func lostMove() throws {
    let bench = try ReplicaBench(learners: 2...2)
    bench.lead(votes: [])
    bench.connect(2) { $0.raftAddress = "moved:1" }
    #expect(bench.wire.inquiries.map(\.address) == ["moved:1"])
    bench.wire.inquiries[0].completion(.failure(.timedOut))
    bench.turn()
    #expect(bench.wire.inquiries.count == 1)
    bench.pass(.seconds(3))
    #expect(bench.wire.inquiries.map(\.address) == ["moved:1", "moved:1"])
  }

  @Test("what a leadership took that came and went within one turn is given up with it")
  func momentaryLeadership() throws {
    let bench = try ReplicaBench(voters: 2...3)
    bench.lead(votes: [])
    let term = bench.node.raft.currentTerm.next
    bench.hear(.voteReply(VoteReply(phase: .preVote, granted: true)), from: 2, term: term)
    func receive(_ message: Message, from number: UInt64, _ term: Term) {
      let envelope = Envelope(from: NodeID(number), to: NodeID(1), term: term, message: message)
      bench.node.didReceive(envelope, report: nil, payload: .empty)
    }
    receive(.voteReply(VoteReply(phase: .vote, granted: true)), from: 2, term)
    #expect(bench.node.raft.role == .leader)
    let token = RequestToken(connection: 0, generation: 0, sequence: 9)
    _ = bench.node.handle(join("new"), token: token)
    receive(.heartbeat(Heartbeat(commit: .zero, round: 1)), from: 3, term.next)
    bench.turn()
    #expect(bench.answer(9) == "503 no_leader")
    #expect(bench.node.load.membershipChanges == 0)
  }

  @Test("a full queue refuses removes too; who asks for a join that is in it waits along")
  func fullQueue() throws {
    let bench = try ReplicaBench()
    bench.lead(votes: [])
    let first = (0...16).map { bench.ask(join("n\($0)")) }[0]
    let remove = bench.ask(.remove(name: "node2", force: false))
    #expect(bench.answer(remove) == "429 too_many_changes")
    let again = bench.ask(join("n0"))
    let last = bench.ask(join("n16"))
    #expect(bench.answer(again) == nil && bench.answer(last) == nil)

    bench.wire.inquiries[0].completion(.failure(.notAPeer("HTTP")))
    bench.pass(.seconds(4))
    bench.wire.inquiries.last?.completion(.failure(.notAPeer("HTTP")))
    bench.turn()
    #expect(bench.answer(first) == "504 unreachable" && bench.answer(again) == "504 unreachable")
    // One has been worked off, so one place is free.
    #expect(bench.answer(bench.ask(.remove(name: "node2", force: false))) == nil)
    #expect(bench.answer(bench.ask(join("n17"))) == "429 too_many_changes")
    #expect(bench.answer(last) == nil)
  }

  // MARK: Removes

  @Test("whom a new leader has not heard yet does not count as there (D13)")
  func mutePeer() throws {
    let bench = try ReplicaBench(voters: 2...3)
    for member in 2...3 { bench.connect(member) }
    // Elected by node2; node3 is connected, and has said nothing at all.
    bench.lead(votes: [2])
    let request = bench.ask(.remove(name: "node2", force: false))
    bench.answerHeartbeat(2)
    #expect(bench.answer(request) == nil, "node3 is being asked")
    bench.pass(.milliseconds(350))
    #expect(bench.answer(request) == "409 would_lose_quorum")
    #expect(bench.node.raft.configuration.contains(NodeID(2)))
  }

  @Test("an answer to an older question is none; one to this question decides")
  func askedAnew() throws {
    let bench = try ReplicaBench(voters: 2...3)
    for member in 2...3 { bench.connect(member) }
    bench.lead(votes: [2, 3])
    bench.pass(.milliseconds(60))
    let old = bench.node.raft.leadership!.round
    let request = bench.ask(.remove(name: "node2", force: false))
    #expect(bench.node.raft.leadership!.round > old, "it asks at once")
    bench.hear(.heartbeatReply(HeartbeatReply(round: old)), from: 3)
    #expect(bench.node.raft.configuration.contains(NodeID(2)))
    bench.answerHeartbeat(3)
    #expect(!bench.node.raft.configuration.contains(NodeID(2)))
    bench.acknowledge(3)
    #expect(bench.answer(request) == "removed node2")
  }

  @Test("force asks nobody")
  func force() throws {
    let bench = try ReplicaBench(voters: 2...3)
    bench.connect(2)
    bench.lead(votes: [2])
    bench.ask(.remove(name: "node2", force: true))
    #expect(!bench.node.raft.configuration.contains(NodeID(2)))
  }

  @Test("what may yet be taken back is no ground to say that nobody has that name (D7)")
  func removeAgain() throws {
    let bench = try ReplicaBench(voters: 2...3)
    for member in 2...3 { bench.connect(member) }
    bench.lead(votes: [2])
    bench.ask(.remove(name: "node2", force: true))
    bench.depose(by: 3)
    bench.pass(.seconds(2))
    bench.lead(votes: [3], acknowledged: [])
    try #require(bench.node.raft.role == .leader)
    try #require(!bench.node.raft.configuration.contains(NodeID(2)))
    let again = bench.ask(.remove(name: "node2", force: true))
    #expect(bench.answer(again) == nil, "the removal is not committed")
    bench.acknowledge(3)
    #expect(bench.answer(again) == "404 unknown_member")
  }

  @Test("a remove that was still asking when leadership was lost was not accepted")
  func removeAbandoned() throws {
    let bench = try ReplicaBench(voters: 2...3)
    for member in 2...3 { bench.connect(member) }
    bench.lead(votes: [2])
    let asking = bench.ask(.remove(name: "node2", force: false))
    bench.depose(by: 3)
    #expect(bench.answer(asking) == "503 no_leader")
  }

  // MARK: Pauses

  @Test("a leader that stood still sends its heartbeats at once")
  func lateLeader() throws {
    let bench = try ReplicaBench(voters: 2...3)
    for member in 2...3 { bench.connect(member) }
    bench.lead(votes: [2])
    bench.wire.sent.removeAll()
    bench.pass(.seconds(2))
    #expect(bench.node.raft.role == .leader, "its followers may have spoken")
    let heartbeats = bench.wire.sent.filter {
      if case .heartbeat = $0.message { true } else { false }
    }
    #expect(heartbeats.count >= 2)
  }

  @Test("however often the loop stands still, what its leader said is read before it campaigns")
  func stalls() throws {
    let bench = try ReplicaBench(voters: 2...3)
    for member in 2...3 { bench.connect(member) }
    bench.depose(by: 2)
    for round in UInt64(2)...3 {
      bench.pass(.seconds(2))
      #expect(bench.node.raft.role == .follower, "heartbeats may wait to be read")
      bench.hear(.heartbeat(Heartbeat(commit: .zero, round: round)), from: 2)
    }
    for _ in 0..<3 { bench.pass(.seconds(2)) }
    #expect(bench.node.raft.role == .follower, "nothing came, and it stood still again")
    bench.passToDeadline()
    #expect(bench.node.raft.role == .preCandidate, "it was awake, and nothing came")
  }

  // MARK: Appends from disk

  @Test("an empty append never overtakes entries that wait to be read from disk (B11)")
  func order() throws {
    var limits = LogLimits()
    limits.memoryTail = 0
    let bench = try ReplicaBench(voters: 2...3, limits: limits)
    for member in 2...3 { bench.connect(member) }
    bench.lead(votes: [2])
    for number in 0..<20 { bench.put("key\(number)", [UInt8](repeating: 7, count: 1000)) }
    bench.acknowledge(2)
    #expect(bench.node.appliedIndex == bench.node.raft.lastIndex)

    // node3 has the first two entries only; the others come from the disk, which takes its time.
    bench.isDiskHeld = true
    bench.wire.sent.removeAll()
    bench.acknowledge(3, through: LogIndex(1))
    bench.pass(.milliseconds(60))
    bench.answerHeartbeat(3)
    bench.pass(.milliseconds(60))
    bench.answerHeartbeat(3)
    #expect(appends(bench, to: 3).isEmpty, "nothing of the log goes before what was read")
    bench.isDiskHeld = false
    bench.turn()
    var next = LogIndex(2)
    for append in appends(bench, to: 3) {
      #expect(append.previous.index == next, "without a gap, and in order")
      next = append.last
    }
    #expect(next == bench.node.raft.lastIndex)
    #expect(appends(bench, to: 3).contains { $0.count == 0 }, "the question for gaps came, last")
  }

  private func appends(_ bench: ReplicaBench, to number: UInt64) -> [AppendRequest] {
    bench.wire.sent.compactMap {
      guard $0.to == NodeID(number), case .append(let request) = $0.message else { return nil }
      return request
    }
  }

  // MARK: Health

  @Test("a leader that has just restarted knows of no commit: who follows it is not ready by that")
  func readyByLeadersTerm() throws {
    let bench = try ReplicaBench(voters: 2...2)
    bench.connect(2)
    func isReady(_ level: ReadLevel) -> Bool {
      if case .healthy = bench.node.readiness(level) { true } else { false }
    }
    func hearAppend(_ count: Int, leaderCommit: LogIndex) {
      let previous = bench.node.raft.outline.lastEntry
      let id = EntryID(index: previous.index.next, term: Term(2))
      var records = ByteBuffer()
      if count > 0 { records.append(EntryRecord(kind: .noop, id: id, payload: .empty)) }
      let header = EntryHeader(term: Term(2), kind: .noop, size: 0)
      let request = AppendRequest(
        previous: previous, leaderCommit: leaderCommit, round: 1,
        entries: Array(repeating: header, count: count))
      bench.hear(.append(request), from: 2, term: Term(2), payload: records)
    }
    hearAppend(0, leaderCommit: .zero)
    #expect(!isReady(.stale) && !isReady(.leaseBound))
    hearAppend(1, leaderCommit: .zero)
    let noop = bench.node.raft.lastIndex
    bench.hear(.heartbeat(Heartbeat(commit: noop.previous, round: 2)), from: 2)
    #expect(bench.node.appliedIndex == noop.previous)
    #expect(!isReady(.stale), "entries of former terms do not say what else is committed")
    bench.hear(.heartbeat(Heartbeat(commit: noop, round: 3)), from: 2)
    #expect(bench.node.appliedIndex == noop && isReady(.stale) && isReady(.leaseBound))
  }

  // MARK: Apply

  @Test("a committed configuration of a level above ours stops the node, one that is not does not")
  func featureLevel() throws {
    let bench = try ReplicaBench(voters: 2...2)
    bench.connect(2)
    bench.hearConfiguration { $0.featureLevel = Configuration.knownFeatureLevel + 1 }
    #expect(bench.fatal == nil, "it may still be taken back")
    let last = bench.node.raft.lastIndex
    bench.hear(.heartbeat(Heartbeat(commit: last, round: 2)), from: 2, term: Term(2))
    #expect(bench.fatal?.exitCode == .unknownCommand)
    #expect(bench.node.appliedIndex < last)
  }

  @Test("entries on disk only are applied batch by batch, each read once, in order")
  func applyFromDisk() throws {
    var limits = LogLimits()
    limits.memoryTail = 0
    let bench = try ReplicaBench(voters: 2...2, limits: limits)
    bench.connect(2)
    // A follower appends; commits come later, when its entries have left memory.
    let leader = NodeID(2)
    var previous = bench.node.raft.outline.lastEntry
    for number in 0..<10 {
      var records = ByteBuffer()
      var headers: [EntryHeader] = []
      for entry in 0..<50 {
        let payload = encodedPut(
          Array("k\(number)-\(entry)".utf8), [UInt8](repeating: 1, count: 99))
        let id = EntryID(index: previous.index + (entry + 1), term: Term(2))
        payload.withUnsafeBytes {
          records.append(EntryRecord(kind: .command, id: id, payload: $0))
        }
        headers.append(EntryHeader(term: Term(2), kind: .command, size: UInt32(payload.count)))
      }
      let request = AppendRequest(
        previous: previous, leaderCommit: .zero, round: 1, entries: headers)
      let envelope = Envelope(from: leader, to: NodeID(1), term: Term(2), message: .append(request))
      bench.node.didReceive(envelope, report: nil, payload: records.readable)
      bench.turn()
      previous = EntryID(index: request.last, term: Term(2))
    }
    #expect(bench.node.raft.persistedIndex == previous.index)
    #expect(bench.node.appliedIndex <= LogIndex(1))
    let reads = bench.disk.accessCount
    bench.hear(.heartbeat(Heartbeat(commit: previous.index, round: 2)), from: 2, term: Term(2))
    #expect(bench.node.appliedIndex == previous.index)
    #expect(bench.disk.accessCount - reads <= 11, "one read for each batch")
    #expect(bench.fatal == nil)
  }
}

@Suite("Replica: space")
struct ReplicaSpaceTests {
  @Test("the ballast makes room for one snapshot, and is not taken back before that is written")
  func ballast() throws {
    let bench = try ReplicaBench(ballast: 1 << 20) {
      $0.snapshotEntries = 4
      $0.snapshotBytes = 1
    }
    bench.lead(votes: [])
    bench.disk.fault = { access, name in
      access == .write && name.hasPrefix("snapshot") ? DiskError.noSpace : nil
    }
    for number in 0..<8 { bench.put("key\(number)") }
    #expect(!bench.disk.names.contains { $0.hasPrefix("snapshot") })

    var seen: [String] = []
    bench.disk.fault = { access, name in
      switch access {
      case .remove where name == "ballast", .freeSpace: seen.append("\(access)")
      case .rename where name.hasPrefix("snapshot"): seen.append("snapshot")
      default: break
      }
      return nil
    }
    // Turns come and go while the file system is at the removal.
    bench.isDiskHeld = true
    bench.pass(.seconds(11))
    bench.isDiskHeld = false
    bench.turn()
    #expect(seen.prefix(2) == ["remove", "snapshot"], "\(seen)")
  }
}
