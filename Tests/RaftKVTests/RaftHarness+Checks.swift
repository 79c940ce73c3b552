import RaftKV

/// What the whole cluster has seen. Figure 3's properties are stated against it.
struct World {
  var leaders: [Term: NodeID] = [:]
  /// Of every entry ever appended anywhere.
  var chains: [EntryID: UInt64] = [:]
  /// Position i holds the entry at index i + 1.
  var committed: [StoredEntry] = []
  /// The newest index whose client was told "done".
  var acknowledged = LogIndex.zero
}

extension RaftHarness {
  func fail(_ sentence: String) {
    failures.append(sentence)
    note("BROKEN: \(sentence)")
  }

  /// After every event at a node.
  func check(_ node: Node) {
    guard node.isUp else { return }
    if let sentence = node.raft.brokenInvariant(since: node.watermarks) {
      fail("\(node.name): \(sentence)")
    }
    node.watermarks = node.raft.watermarks
    if node.raft.lastIndex != node.log.lastEntry.index {
      fail("\(node.name): the engine and the log disagree about the last index")
    }
    checkLeader(node)
    checkCommit(node)
    checkLease(node)
    if node.raft.role != .leader { node.reads.removeAll() }
  }

  /// Election Safety and Leader Completeness.
  private func checkLeader(_ node: Node) {
    checkLogMatching(node)
    guard node.raft.role == .leader else { return }
    let term = node.raft.currentTerm
    guard let leader = world.leaders[term] else {
      world.leaders[term] = node.id
      guard let last = world.committed.last else { return }
      let mine = node.log.term(at: last.id.index)
      if node.log.base.index < last.id.index, mine != last.id.term {
        fail("\(node.name) leads term \(term) without \(last.id)")
      }
      return
    }
    if leader != node.id { fail("two leaders in term \(term)") }
  }

  private func checkLogMatching(_ node: Node) {
    for entry in node.log.entries.reversed() {
      guard let chain = world.chains[entry.id] else {
        world.chains[entry.id] = entry.chain
        continue
      }
      if chain != entry.chain { fail("\(node.name) has another \(entry.id)") }
      return  // What stands before it was compared when this chain was first seen.
    }
  }

  /// State Machine Safety, and that what is committed is on a majority's disks.
  private func checkCommit(_ node: Node) {
    let commit = node.raft.commitIndex
    defer { node.checkedCommit = commit }
    while node.checkedCommit < commit {
      node.checkedCommit = node.checkedCommit.next
      let index = node.checkedCommit
      guard let entry = node.log.entry(at: index) else { continue }
      let position = Int(index.rawValue) - 1
      if position < world.committed.count {
        if world.committed[position].chain != entry.chain {
          fail("\(node.name) commits \(entry.id) in place of \(world.committed[position].id)")
        }
      } else {
        if position > world.committed.count { fail("\(node.name) commits past a gap") }
        world.committed.append(entry)
      }
    }
    if node.raft.role == .leader, commit > .zero, node.log.entry(at: commit) != nil {
      checkDurability(of: node.log.entry(at: commit)!.id, by: node)
    }
  }

  private func checkDurability(of entry: EntryID, by leader: Node) {
    guard leader.raft.hasCommittedInTerm, entry.term == leader.raft.currentTerm else { return }
    // The configuration in force when it was committed: none was appended since, or one that still
    // shares a majority with it, which is not what this check is about.
    let history = leader.raft.configurations
    guard history.currentIndex <= entry.index else { return }
    let holders = history.current.voters.filter { voter in
      node(Int(voter.rawValue)).disk.holds(entry)
    }
    if holders.count * 2 <= history.current.voterCount {
      fail("\(leader.name) commits \(entry), which only \(holders.count) disks hold")
    }
  }

  /// While one node may answer reads by its lease, nobody else has committed in a later term (C4).
  private func checkLease(_ changed: Node) {
    guard changed.raft.role == .leader, changed.raft.hasCommittedInTerm else { return }
    for node in nodes
    where node.isUp && node.id != changed.id && node.raft.currentTerm < changed.raft.currentTerm {
      if node.raft.hasLease(at: now(at: node)) {
        fail("\(node.name) has a lease while \(changed.name) leads a later term")
      }
    }
  }

  func checkApplied(_ entry: StoredEntry, at node: Node) {
    let position = Int(entry.id.index.rawValue) - 1
    if position < world.committed.count, world.committed[position].chain != entry.chain {
      fail("\(node.name) applies \(entry.id) in place of \(world.committed[position].id)")
    }
  }

  /// Votes and acknowledgements are promises: a disk stands behind each before it leaves (A1, G1).
  func checkPromise(_ envelope: Envelope, from node: Node) {
    let disk = node.disk
    switch envelope.message {
    case .voteRequest(let request) where request.phase == .vote:
      if disk.hardState != HardState(currentTerm: envelope.term, votedFor: node.id) {
        fail("\(node.name) asks for votes before its own is durable")
      }
    case .voteReply(let reply) where reply.phase == .vote && reply.granted:
      if disk.hardState != HardState(currentTerm: envelope.term, votedFor: envelope.to) {
        fail("\(node.name) gives a vote that is not durable")
      }
    case .appendReply(let reply):
      guard case .matched(let index) = reply.outcome, index > .zero else { return }
      guard let term = node.log.term(at: index) else {
        if node.log.base.index < index { fail("\(node.name) acknowledges what it lacks") }
        return
      }
      if !disk.holds(EntryID(index: index, term: term)) {
        fail("\(node.name) acknowledges \(index)@\(term), which is not on its disk")
      }
    default: break
    }
    if disk.hardState.currentTerm < node.raft.currentTerm {
      fail("\(node.name) speaks before its term is durable")
    }
  }
}
