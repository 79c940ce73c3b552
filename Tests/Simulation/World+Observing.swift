import RaftKV

/// What the checker looks at after every event of a node. It costs what has changed, and no more.
extension World {
  func observe(_ host: Host, _ process: Process) {
    let replica = process.replica
    observeLog(host, process)
    checkTransition(host, process)
    observeCommit(host, process)
    let configurationIndex = replica.raft.configurations.currentIndex
    if configurationIndex != process.seenConfiguration { observeConfiguration(host, process) }
    observeRole(host, process)
    observeDisk(host)
    observeDurableTerm(host, process)
    let confirmedAt = replica.raft.confirmedAt
    if confirmedAt != process.seenConfirmedAt {
      process.seenConfirmedAt = confirmedAt
      checkLease(of: host, process)
    }
    observeState(host, process)
    if let broken = replica.raft.brokenInvariant(since: process.watermarks) {
      fail(.monotone, "\(host.name): \(broken)")
    }
    process.watermarks = replica.raft.watermarks
    observeProgress(host, process)
    checkHandOver(host, process)
    checkAnswered(host, process)
    observeBounds(host, process)
    timeline.observe(host, in: self)
    trace.fold(
      replica.raft.currentTerm.rawValue << 40 ^ replica.raft.commitIndex.rawValue << 20
        ^ replica.raft.lastIndex.rawValue ^ replica.appliedIndex.rawValue << 52)
  }

  // MARK: The log

  func observeLog(_ host: Host, _ process: Process) {
    let last = process.replica.raft.outline.lastEntry
    let base = process.replica.raft.outline.base
    if process.mirror.last != last.index || process.mirror.item(at: last.index)?.term != last.term {
      readLog(host, process, base: base, last: last)
    }
    if base.index > process.mirror.base { marks.hit(.logCompacted) }
    process.mirror.compact(through: base.index)
  }

  private func readLog(_ host: Host, _ process: Process, base: EntryID, last: EntryID) {
    var agreed = min(process.mirror.last, last.index)
    let underBase = process.mirror.item(at: base.index)
    // What agrees with a snapshot keeps what stands behind it (F3).
    if base == last, base.index < process.mirror.last, underBase?.term == base.term {
      fail(.durability, "\(host.name) had \(base) in its log, and drops what stood behind it")
    }
    if agreed < base.index || process.mirror.base > last.index
      || underBase.map({ $0.term != base.term }) == true
    {
      marks.hit(.logReplacedBySnapshot)
      didHappen(.snapshotInstalled, at: host.index)
      process.mirror.reset(to: base.index)
      agreed = base.index
    }
    while agreed > max(process.mirror.base, base.index),
      process.mirror.item(at: agreed)!.term != process.replica.raft.outline.term(at: agreed)
    {
      agreed = agreed.previous
    }
    if agreed < process.mirror.last {
      marks.hit(.entriesTruncated)
      didHappen(.truncation, at: host.index)
    }
    process.mirror.truncate(after: agreed)
    var chain = chain(before: agreed, process)
    let reached = process.replica.log.forEachInMemory(from: agreed.next, through: last.index) {
      record in
      chain = read(record, after: chain, host, process)
      return true
    }
    // What recovery left on disk alone is known from when it was written.
    var index = (reached ?? agreed).next
    while index <= last.index {
      guard let term = process.replica.raft.outline.term(at: index) else {
        return fail(.logMatching, "\(host.name) has no term for \(index)")
      }
      let id = EntryID(index: index, term: term)
      guard let known = checker.known[id] else {
        return fail(.logMatching, "\(host.name) has \(id), which nobody ever wrote")
      }
      process.mirror.append(LogMirror.Item(term: term, chain: known.chain))
      index = index.next
    }
  }

  /// The chain through `index`: from the mirror, or, under a snapshot, from what is committed.
  private func chain(before index: LogIndex, _ process: Process) -> UInt64 {
    if let item = process.mirror.item(at: index) { return item.chain }
    if index == .zero { return 0 }
    if let term = process.replica.raft.outline.term(at: index),
      let known = checker.known[EntryID(index: index, term: term)]
    {
      return known.chain
    }
    return index.rawValue <= UInt64(checker.committed.count)
      ? checker.committed[Int(index.rawValue) - 1].chain : 0
  }

  private func read(
    _ record: EntryRecord, after chain: UInt64, _ host: Host, _ process: Process
  ) -> UInt64 {
    let hash = learn(record, after: chain, host)
    process.mirror.append(LogMirror.Item(term: record.id.term, chain: hash))
    return hash
  }

  /// Notes what an entry holds, or compares it with what was noted before.
  @discardableResult
  func learn(_ record: EntryRecord, after chain: UInt64, _ host: Host) -> UInt64 {
    let payload = record.payload
    var hash = Checker.mix(chain, record.id.index.rawValue)
    hash = Checker.mix(hash, record.id.term.rawValue << 8 | UInt64(record.kind.rawValue))
    hash = Checker.mix(hash, UInt64(CRC32C.checksum(payload)) << 24 ^ UInt64(payload.count))
    if let known = checker.known[record.id] {
      if known.chain != hash {
        fail(.logMatching, "\(host.name) has another \(record.id) than was written before")
      }
      return hash
    }
    var known = Checker.Known(chain: hash, key: 0, value: 0, isCommand: false)
    if record.kind == .command || record.kind == .reclaim,
      let command = try? Command(decoding: record.payload)
    {
      known.isCommand = true
      known.key = Int(command.key[1])
      if command.kind == .put {
        known.value = UInt64(littleEndian: command.value.loadUnaligned(as: UInt64.self))
      }
    }
    if record.kind == .configuration {
      known.configuration = Configuration(decoding: record.payload)
    }
    checker.known[record.id] = known
    return hash
  }

  private func observeConfiguration(_ host: Host, _ process: Process) {
    let history = process.replica.raft.configurations
    if history.currentIndex < process.seenConfiguration { marks.hit(.configurationRolledBack) }
    process.seenConfiguration = history.currentIndex
    didHappen(.configurationAppended, at: host.index)
    guard let previous = history.previous else { return }
    checkConfigurations(host, process)
    let old = previous.voters
    let new = history.current.voters
    let difference =
      old.reduce(0) { $0 + (new.contains($1) ? 0 : 1) }
      + new.reduce(0) { $0 + (old.contains($1) ? 0 : 1) }
    if difference > 1 {
      fail(
        .configurationStep, "\(host.name): \(difference) voters change at \(history.currentIndex)")
    }
    if new.count > old.count {
      marks.hit(.learnerPromoted)
      checkPromotion(process, of: new.filter { !old.contains($0) })
    }
    if history.current.members.count < previous.members.count { marks.hit(.memberRemoved) }
  }

  /// Who becomes a voter has caught up: at the least, its disk has what added it (D5).
  private func checkPromotion(_ leader: Process, of promoted: [NodeID]) {
    guard leader.replica.raft.role == .leader else { return }
    for host in hosts where promoted.contains(host.promise.node) && !host.isLost {
      let last = host.disk.durableLog.last
      guard let member = leader.replica.raft.configuration.member(host.promise.node),
        last < member.memberSince
      else { continue }
      fail(
        .configurationStep,
        "\(host.name) becomes a voter at \(last), and was added at \(member.memberSince)")
    }
  }

  /// One change at a time (D1): whoever appended a configuration knew the one before it to be
  /// committed, so by now everybody's commit index, taken together, is at least there.
  private func checkConfigurations(_ host: Host, _ process: Process) {
    guard let earlier = process.replica.raft.configurations.previousIndex,
      earlier.rawValue > UInt64(checker.committed.count)
    else { return }
    fail(
      .configurationStep,
      "\(host.name): the configuration at \(process.seenConfiguration) follows the one at "
        + "\(earlier), which is not committed")
  }

  // MARK: Commit

  private func observeCommit(_ host: Host, _ process: Process) {
    let commit = process.replica.raft.commitIndex
    let seen = process.watermarks?.commitIndex ?? .zero
    guard commit > seen else { return }
    var index = max(seen, process.mirror.base).next
    while index <= commit {
      guard let item = process.mirror.item(at: index) else { break }
      let position = Int(index.rawValue) - 1
      if position < checker.committed.count {
        if checker.committed[position].chain != item.chain {
          return fail(
            .committedPrefix,
            "\(host.name) commits \(index)@\(item.term), but \(index)@"
              + "\(checker.committed[position].term) is committed")
        }
      } else if position == checker.committed.count {
        commitNew(EntryID(index: index, term: item.term), item.chain, host, process)
      } else {
        return fail(.committedPrefix, "\(host.name) commits \(index) out of nothing")
      }
      index = index.next
    }
  }

  private func commitNew(_ id: EntryID, _ chain: UInt64, _ host: Host, _ process: Process) {
    didHappen(.commit, at: host.index)
    var configurations = [process.replica.raft.configuration]
    // It may have changed in the same turn, after the commit.
    if process.replica.raft.configurations.currentIndex != process.seenConfiguration,
      let previous = process.replica.raft.configurations.previous
    {
      configurations.append(previous)
    }
    checkOnDisks(id, configurations)
    let term = process.replica.raft.currentTerm
    if id.term < term { marks.hit(.committedOldTerm) }
    checker.committed.append(Checker.Committed(term: id.term, chain: chain, leaderTerm: term))
    guard let known = checker.known[id] else { return }
    if let configuration = known.configuration {
      checker.configuration = configuration
      didHappen(.configurationCommitted, at: host.index)
    }
    guard known.isCommand else { return }
    checkOnce(known.value, id)
    checker.versions[known.key].append(
      Checker.Version(index: id.index.rawValue, value: known.value))
  }

  // MARK: Roles

  private func observeRole(_ host: Host, _ process: Process) {
    let role = process.replica.raft.role
    let term = process.replica.raft.currentTerm
    defer {
      process.seenRole = role
      process.seenTerm = term
    }
    if process.seenRole == .leader, role != .leader {
      marks.hit(.leaderDeposed)
      didHappen(.deposition, at: host.index)
    }
    if role == .preCandidate, process.seenRole == .follower { checkStall(host, process) }
    if role == .candidate, process.seenRole != .candidate { didHappen(.candidacy, at: host.index) }
    guard role == .leader, process.seenRole != .leader || process.seenTerm != term else { return }
    trace.note(now, host.index, "leads in term \(term)")
    marks.hit(.leaderElected)
    let id = process.replica.raft.id
    if let other = checker.leaders[term], other != id {
      return fail(.oneLeaderPerTerm, "\(id) and \(other) lead in term \(term)")
    }
    if checker.leaders[term] == nil {
      checker.leaders[term] = id
      checker.electionCount += 1
      if checker.electionCount > 1 { marks.hit(.secondElection) }
    }
    checkCompleteness(host, process, term)
    checkLeases(against: host, term)
    didHappen(.election, at: host.index)
  }

  /// A lease means that nobody else can have been elected: not even an instant before it ends (C4).
  private func checkLeases(against leader: Host, _ term: Term) {
    for host in hosts where host !== leader {
      guard let process = host.process, process.replica.raft.currentTerm < term,
        process.replica.raft.hasLease(at: host.clock.instant(at: now))
      else { continue }
      fail(
        .leaseBound,
        "\(host.name) has a lease in term \(process.replica.raft.currentTerm), and "
          + "\(leader.name) leads in term \(term)")
    }
  }

  /// A leader has every entry that an earlier term committed (§5.4).
  private func checkCompleteness(_ host: Host, _ process: Process, _ term: Term) {
    var count = checker.committed.count
    while count > 0, checker.committed[count - 1].leaderTerm >= term { count -= 1 }
    guard count > 0 else { return }
    let index = LogIndex(UInt64(count))
    if index <= process.mirror.base { return }
    guard let item = process.mirror.item(at: index),
      item.chain == checker.committed[count - 1].chain
    else {
      return fail(
        .leaderCompleteness,
        "\(host.name) leads in term \(term) without \(index)@"
          + "\(checker.committed[count - 1].term)")
    }
  }

  // MARK: State

  private func observeState(_ host: Host, _ process: Process) {
    let replica = process.replica
    let applied = replica.appliedIndex
    if applied != process.seenApplied {
      if applied < process.seenApplied { fail(.monotone, "\(host.name): the applied index fell") }
      process.seenApplied = applied
      observeClock(host, process)
      if applied.rawValue > UInt64(checker.committed.count) {
        fail(.stateMachineSafety, "\(host.name) applied \(applied), which is not committed")
      }
      let hash = replica.store.stateHash
      if let other = checker.stateHashes[applied] {
        if other != hash {
          fail(.stateMachineSafety, "\(host.name) has another state at \(applied) than others had")
        }
      } else {
        checker.stateHashes[applied] = hash
      }
    }
    if replica.hasSnapshotAhead != process.hadSnapshotAhead {
      process.hadSnapshotAhead = replica.hasSnapshotAhead
      if process.hadSnapshotAhead { didHappen(.snapshotAhead, at: host.index) }
    }
    let snapshot = replica.raft.snapshot?.lastEntry
    if snapshot != process.seenSnapshot, let snapshot {
      process.seenSnapshot = snapshot
      if let file = replica.adopted, file.lastEntry != snapshot {
        fail(.snapshotEquality, "\(host.name) has the file of \(file.lastEntry) for \(snapshot)")
      }
      observeSnapshot(host, snapshot)
    }
  }

  private func observeSnapshot(_ host: Host, _ entry: EntryID) {
    marks.hit(.snapshotTaken)
    didHappen(.snapshotTaken, at: host.index)
    let bytes = host.disk.contents(of: SnapshotName.make(entry))
    guard !bytes.isEmpty else { return }  // A newer one has taken its place already.
    let hash = bytes.withUnsafeBytes { UInt64(CRC32C.checksum($0)) << 32 | UInt64($0.count) }
    if let other = checker.snapshotHashes[entry.index], other != hash {
      fail(.snapshotEquality, "\(host.name)'s snapshot of \(entry) has other bytes than others'")
    }
    checker.snapshotHashes[entry.index] = hash
  }

  // MARK: Messages

  /// What leaves a node is a promise: it is on its disk by now, and must be found there after any
  /// crash.
  func willSend(_ envelope: Envelope, from index: Int) {
    let host = hosts[index]
    checkSending(envelope, host)
    if let (leader, term) = host.process?.unanswered, leader == envelope.to, envelope.term >= term {
      host.process?.unanswered = nil
    }
    var term = envelope.term
    switch envelope.message {
    case .voteRequest(let request):
      if request.phase == .preVote { return }
      if request.isTransfer { checkTransfer(envelope) }
      promiseVote(of: envelope.from, for: envelope.from, in: envelope.term, host)
    case .voteReply(let reply):
      if reply.phase == .preVote { term = min(term, host.promise.term) }
      if reply.phase == .vote, reply.granted {
        promiseVote(of: envelope.from, for: envelope.to, in: envelope.term, host)
        didHappen(.vote, at: index, to: self.index(of: envelope.to))
      }
    case .appendReply(let reply):
      if case .matched(let match) = reply.outcome { checkAcknowledgement(match, host) }
    case .removed(let index): checkRemoval(index, host)
    case .timeoutNow:
      noteTransfer(envelope)
      didHappen(.transfer, at: index, to: self.index(of: envelope.to))
    case .snapshotChunk(let chunk):
      guard chunk.offset == 0 else { break }
      marks.hit(.snapshotSent)
      didHappen(.snapshotSending, at: index, to: self.index(of: envelope.to))
    default: break
    }
    if term > host.promise.term {
      host.promise.term = term
      host.promise.votedFor = .none
      if host.disk.durableHardState?.term ?? .zero < term {
        fail(.durability, "\(host.name) speaks of term \(term), which is not on its disk")
      }
    }
  }

  private func index(of node: NodeID) -> Int? {
    hosts.firstIndex { $0.promise.node == node }
  }

  private func promiseVote(of voter: NodeID, for candidate: NodeID, in term: Term, _ host: Host) {
    let vote = Checker.Vote(voter: voter, term: term)
    if let other = checker.votes[vote], other != candidate {
      fail(.oneVotePerTerm, "\(host.name) votes for \(other) and \(candidate) in term \(term)")
    }
    checker.votes[vote] = candidate
    let durable = host.disk.durableHardState
    if durable?.term ?? .zero < term || durable?.term == term && durable?.votedFor != candidate {
      fail(
        .durability,
        "\(host.name) votes for \(candidate) in term \(term), which is not on its disk")
    }
    if term >= host.promise.term {
      host.promise.term = term
      host.promise.votedFor = candidate
    }
  }

  /// A start has read the disk: is what was promised there?
  func checkRecovery(_ host: Host, _ process: Process) {
    let promise = host.promise
    let replica = process.replica
    guard promise.node == replica.raft.id else { return }
    if replica.raft.currentTerm < promise.term {
      fail(
        .durability, "\(host.name) forgot term \(promise.term), it has \(replica.raft.currentTerm)")
    }
    if replica.raft.currentTerm == promise.term, promise.votedFor != .none,
      replica.raft.votedFor != promise.votedFor
    {
      fail(.durability, "\(host.name) forgot its vote in term \(promise.term)")
    }
    checkTail(host)
    observeLog(host, process)
    checkLeases()
    if replica.raft.commitIndex.rawValue < UInt64(checker.committed.count) {
      marks.hit(.recoveredBehindCommit)
    }
    if replica.raft.snapshot != nil { marks.hit(.recoveredFromSnapshot) }
    guard let chain = promise.chain, failure == nil else { return }
    let index = promise.persisted.index
    if index <= replica.raft.outline.base.index { return }
    // Terms never fall along a log: an entry that cannot stand behind the snapshot which came was
    // never committed, and goes with the log that the snapshot replaces (F5).
    if promise.persisted.term < replica.raft.outline.base.term { return }
    if process.mirror.item(at: index)?.chain != chain {
      fail(
        .durability,
        "\(host.name) had \(promise.persisted) on its disk, and after a crash it is gone: the log "
          + "is \(replica.raft.outline.base) … \(replica.raft.outline.lastEntry)")
    }
  }
}

extension Checker {
  /// What a dying process leaves as its promise.
  func promise(of process: Process, _ earlier: Promise) -> Promise {
    var promise = earlier
    promise.node = process.replica.raft.id
    let index = process.replica.raft.persistedIndex
    let item = process.mirror.item(at: index)
    promise.persisted = EntryID(index: index, term: item?.term ?? .zero)
    promise.chain = item?.chain
    return promise
  }
}
