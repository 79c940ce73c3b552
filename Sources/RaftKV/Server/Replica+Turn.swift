/// One turn of the loop: what has been recorded is acted on, in the order that `Effects` documents,
/// until nothing is left to do.
extension Replica {
  /// Last thing before the loop sleeps, but for clients' answers and `transport.flush()`, which are
  /// the owner's. Afterwards `nextDeadline` says how long it may.
  package func endTurn() {
    guard !hasFailed else { return }
    now = clock()
    judgeTimer()
    judgeDisk()
    probeLeaderIfDue()
    var rounds = 0
    repeat {
      stepAdministration()
      raft.flush(at: now, into: &effects)
      let hasWork = perform()
      metrics.writes.didCommit(through: raft.commitIndex, at: now)
      let hasApplied = applyCommitted()
      answerReads()
      noticeLeadership()
      rounds += 1
      guard (hasWork || hasApplied) && rounds < Self.maximumRounds else { break }
    } while !hasFailed
    if rounds == Self.maximumRounds { requestAnotherTurn() }
    stepCommitMarks()
    expireWrites()
    expireReads()
    resumeHeldIfSettled()
    stepSnapshots()
    stepDismantling()
    // Followers' disks work while our clients' answers are written. What only tells of a commit is
    // in no such hurry: it leaves behind them.
    guard hasSentEntries else { return }
    hasSentEntries = false
    transport.flush()
  }

  /// A round feeds the next only through a handful of causes (a commit makes a promotion due, and
  /// so on); the limit keeps a mistake from becoming an endless turn.
  private static var maximumRounds: Int { 16 }

  /// When the loop must come round again at the latest.
  package var nextDeadline: Instant {
    if timer != .idle { return now }
    var earliest = raft.deadline
    if let due = writes.nextDeadline { earliest = min(earliest, due) }
    if let due = reads.nextDeadline { earliest = min(earliest, due) }
    if heldCount > 0 || !homeless.isEmpty, let since = leaderlessSince {
      earliest = min(earliest, patienceEnd(since))
    }
    if let since = diskStalledSince, raft.storage != .hung {
      earliest = min(earliest, since + hungAfter)
    }
    if let probeAgain { earliest = min(earliest, probeAgain) }
    if let due = log.deadline { earliest = min(earliest, due) }
    return earliest
  }

  // MARK: Time

  /// The loop's timer fired. It is only noted here: what the sockets hold is read first, so that a
  /// late timer does not outrun the heartbeats that are waiting to be read (H1).
  package func timerFired() {
    if timer == .idle { timer = .fired }
    requestAnotherTurn()
  }

  private func judgeTimer() {
    switch timer {
    case .idle: return
    case .fired:
      timer = .polled
      return requestAnotherTurn()
    case .polled: timer = .idle
    }
    log.deadlinePassed(at: now)
    guard now >= raft.deadline else { return }
    // Far too late: the process stood still, and one poll may not have read all that waits. So it
    // is each time that this happens, however often (H1).
    let lateness = now - raft.deadline
    var isLate = lateness > settings.parameters.electionTimeout / 2
    #if PLANTED_BUGS
    if PlantedBug.stallNotExcused.isActive { isLate = false }
    #endif
    if isLate {
      logger.warning("the loop stood still for \(lateness.milliseconds) ms")
      raft.didStall(at: now)
      commitMarks.mayHaveMissed()
    }
    raft.deadlinePassed(at: now, into: &effects)
  }

  private var hungAfter: Interval { settings.parameters.electionTimeout * 2 }

  private var diskStalledSince: Instant? {
    let log = Instant.earlier(log.stalledSince, chunkReads.stalledSince)
    return .earlier(log, hardStateStore.oldestWriteStart)
  }

  func judgeDisk() {
    let isHung = diskStalledSince.map { now - $0 >= hungAfter } ?? false
    #if PLANTED_BUGS
    if isHung, PlantedBug.hungDiskLeads.isActive { return }
    #endif
    let health: Raft.StorageHealth = isHung ? .hung : log.isFull ? .full : .healthy
    if health != raft.storage {
      CoverageMark.hit(health == .hung ? .diskHangs : health == .full ? .diskIsFull : .diskRecovers)
      logger.warning("the disk is \(health)\(health == .healthy ? " again" : "")")
      raft.setStorage(health, at: now, into: &effects)
    }
  }

  // MARK: Effects

  /// Step 0 of `Effects`, right after every call that may edit the log. `records` are those of the
  /// message at hand, `chunk` the bytes of the snapshot chunk at hand.
  func performLogEdits(
    records: UnsafeRawBufferPointer = .init(start: nil, count: 0),
    chunk: UnsafeRawBufferPointer = .init(start: nil, count: 0)
  ) {
    guard !effects.logEdits.isEmpty else { return }
    // No batch of a term that is not durable yet may reach the disk.
    log.isHeld = !raft.isHardStateDurable
    let edits = effects.logEdits
    effects.logEdits.removeAll(keepingCapacity: true)
    for edit in edits {
      switch edit {
      case .truncate(let entry): log.truncate(after: entry)
      case .appendReceived(let first, let count): appendReceived(records, from: first, count: count)
      case .appendNoop(let id):
        log.append(EntryRecord(kind: .noop, id: id, payload: .init(start: nil, count: 0)))
      case .appendConfiguration(let id, let configuration):
        command.clear()
        configuration.encode(into: &command)
        log.append(EntryRecord(kind: .configuration, id: id, payload: command.readable))
      case .storeChunk(let snapshot, let isFirst): store(chunk, of: snapshot, isFirst: isFirst)
      case .reset(let entry): log.reset(to: entry)
      case .compact(let entry): compact(through: entry)
      }
    }
  }

  private func compact(through entry: EntryID) {
    #if FAILPOINTS
    Failpoint.pass(.before, .compact)
    defer { Failpoint.pass(.after, .compact) }
    #endif
    log.compact(through: entry)
  }

  private func appendReceived(_ records: UnsafeRawBufferPointer, from first: Int, count: Int) {
    var reader = ByteReader(records)
    for _ in 0..<first { _ = reader.readEntry() }
    for _ in 0..<count {
      guard let record = reader.readEntry() else {
        preconditionFailure("the frame was checked when it was decoded")
      }
      log.append(record)
    }
  }

  /// Steps 1, 2, 3 and 5; step 4 is `applyCommitted`. Returns whether there was anything to do.
  private func perform() -> Bool {
    performLogEdits()
    guard !effects.isEmpty else { return false }
    // What is performed may have effects of its own. The two take turns and keep their memory.
    swap(&effects, &performing)
    defer { performing.clear() }
    if let hardState = performing.hardState { hardStateStore.write(hardState) }
    log.isHeld = !raft.isHardStateDurable
    if let ticket = performing.logWrite {
      metrics.writes.didHandOver(ticket: ticket, at: now)
      log.flush(ticket: ticket)
    }
    send(performing.messages)
    if let confirmed = performing.confirmedReads { reads.confirm(confirmed) }
    for peer in performing.probes { transport.probe(peer) }
    for contradiction in performing.contradictions { refute(contradiction) }
    for notice in performing.notices { report(notice) }
    return true
  }

  private func send(_ messages: [Envelope]) {
    #if FAILPOINTS
    guard !messages.isEmpty else { return }
    Failpoint.pass(.before, .send)
    // Once they have left the process, and nothing else has happened.
    defer {
      transport.flush()
      Failpoint.pass(.after, .send)
    }
    #endif
    for envelope in messages { send(envelope) }
  }

  // MARK: Disk completions (every callback of the loop is followed by the end of its turn)

  func didPersistHardState(_ hardState: HardState) {
    now = clock()
    raft.didPersistHardState(hardState, at: now, into: &effects)
    performLogEdits()
    log.isHeld = !raft.isHardStateDurable
  }

  func didPersist(ticket: UInt64) {
    now = clock()
    chunkReads.didSeeProgress(at: now)
    metrics.writes.didPersist(ticket: ticket, at: now)
    raft.didPersist(ticket: ticket, at: now, into: &effects)
    performLogEdits()
  }

  // MARK: Leadership

  /// Leadership came, went, or has another holder: clients that waited on the old one are told.
  private func noticeLeadership() {
    // It may also have come and gone since the last look, and have taken requests.
    let hasLed =
      seenRole == .leader || !writes.isEmpty || !reads.isEmpty || !administration.isIdle
    if raft.role != .leader && hasLed || seenRole == .leader && raft.currentTerm != seenTerm {
      lostLeadership()
    }
    if raft.role == .leader, seenRole != .leader || raft.currentTerm != seenTerm {
      metrics.forgetHeartbeats()
      noteAllAddresses()
    }
    if isSettled { leaderlessSince = nil } else if leaderlessSince == nil { leaderlessSince = now }
    let isNewLeader = raft.leader != seenLeader && raft.leader != .none
    let isNewConfiguration = !hasSeenConfiguration
    if isNewConfiguration { didChangeConfiguration() }
    if raft.role != .leader, isNewLeader || isNewConfiguration { noteAllAddresses() }
    seenRole = raft.role
    seenTerm = raft.currentTerm
    seenLeader = raft.leader
  }

  /// What was appended may or may not be committed by the next leader: its clients cannot be told
  /// more (I1). Reads were not answered and go to the next leader (C3).
  private func lostLeadership() {
    if !writes.isEmpty { CoverageMark.hit(.writesLostLeader) }
    if !reads.isEmpty { CoverageMark.hit(.readsLostLeader) }
    #if PLANTED_BUGS
    if !writes.isEmpty, PlantedBug.waitersOutliveTerm.isActive { return }
    let isRefused = !writes.isEmpty && PlantedBug.lostWritesRefused.isActive
    for item in isRefused ? writes.removeAll() : [] { replies.reply(.noLeader, to: item.token) }
    while !reads.isEmpty, PlantedBug.deposedServesReads.isActive {
      reads.removeFirst { token, key in replies.reply(read(key), to: token) }
    }
    #endif
    for item in writes.removeAll() { replies.reply(.unknownOutcome, to: item.token) }
    reads.removeAll { homeless.append($0) }
    deferred.removeAll()
    sending.removeAll()
    metrics.writes.abandon()
    abandonAdministration()
  }

  private func expireWrites() {
    while let item = writes.removeFirst(ifDueAt: now) {
      CoverageMark.hit(.writeTooLate)
      replies.reply(.unknownOutcome, to: item.token)
    }
  }

  private func expireReads() {
    guard !reads.isEmpty else { return }
    while reads.isDue(at: now) {
      CoverageMark.hit(.readTooLate)
      reads.removeFirst { token, _ in replies.reply(.unconfirmed, to: token) }
    }
  }

  private func answerReads() {
    guard !reads.isEmpty else { return }
    while reads.isReady(appliedIndex: appliedIndex) {
      if let arrived = reads.nextDeadline {
        metrics.confirm.observe(now + settings.readPatience - arrived)
      }
      reads.removeFirst { token, key in replies.reply(read(key), to: token) }
    }
  }

  // MARK: The end

  func fail(_ message: String, _ code: ExitCode) {
    guard !hasFailed else { return }
    hasFailed = true
    onFatal(FatalError(message, code))
  }

  func report(_ notice: Notice) {
    let log = logger
    metrics.count(notice)
    switch notice {
    case .roleChanged(let role, let term, let leader):
      if role == .leader {
        log.info("leads in term \(term), from \(raft.outline.lastEntry)")
      } else if leader != .none {
        log.info("follows \(nameOf(leader)) in term \(term)")
      } else {
        log.debug("is \(role) in term \(term)")
      }
    case .steppedDown(let term, let reason): log.info("stepped down in term \(term): \(reason)")
    case .configurationChanged(let index):
      hasSeenConfiguration = false
      let members = raft.configuration.members.map { "\($0.name) (\($0.role))" }
      log.info("configuration of \(index): \(members.joined(separator: ", "))")
    case .wasRemoved(let index):
      log.warning(
        "this node was removed from the cluster by entry \(index): it stops campaigning and keeps "
          + "its data; /join it again, or stop it")
    case .transferStarted(let target): log.info("hands the leadership to \(nameOf(target))")
    case .transferAborted(let target):
      transferFailed = now
      log.warning("\(nameOf(target)) did not take over the leadership")
    case .followerNeedsSnapshot(let peer): log.info("sends a snapshot to \(nameOf(peer))")
    case .learnerStalled(let peer):
      log.warning("removes learner \(nameOf(peer)) again: no progress")
    }
  }

  func nameOf(_ peer: NodeID) -> String {
    raft.configuration.member(peer)?.name ?? "node \(peer)"
  }
}
