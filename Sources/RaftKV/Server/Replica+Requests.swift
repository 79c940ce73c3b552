/// What clients ask. The answer comes at once, later, or from another node; a request that gets 307
/// or 503 was not accepted, and one that was accepted gets neither (I1).
extension Replica: RequestHandler {
  package func handle(_ request: ClientRequest, token: RequestToken) -> Disposition {
    #if PLANTED_BUGS
    if case .get = request, PlantedBug.clockCached.isActive {} else { now = clock() }
    #else
    now = clock()
    #endif
    switch request {
    case .status: return .reply(.status(status()))
    case .live: return .reply(liveness)
    case .metrics:
      var text = MetricsText()
      appendMetrics(to: &text)
      return .reply(.metrics(text.buffer.readable.map { $0 }))
    case .ready(let level): return .reply(readiness(level))
    case .get(let key, .stale): return .reply(read(key, staleness: staleness()))
    case .get(let key, .leaseBound): return readUnderLease(key, token)
    case .get(let key, .consistent): return readByRound(key, token)
    case .put(let key, let value):
      command.clear()
      Command.put(key: key, value: value, clock: wallClock()).encode(into: &command)
      return write(isDelete: false, token)
    case .delete(let key):
      command.clear()
      Command.delete(key: key, clock: wallClock()).encode(into: &command)
      return write(isDelete: true, token)
    case .join(let name, let raftAddress, let httpAddress):
      return handleJoin(name, raftAddress, httpAddress, token)
    case .remove(let name, let force): return handleRemove(name, force: force, token)
    }
  }

  /// Whoever is about to send a large value should hear first that it would be in vain.
  package var writeRefusal: Reply? {
    now = clock()
    if raft.role != .leader, let leader = reachableLeader { return leader }
    guard raft.role == .leader, log.isFull else { return nil }
    judgeDisk()
    return isTransferring ? nil : .diskFull
  }

  // MARK: Reads

  func read(_ key: UnsafeRawBufferPointer, staleness: Staleness? = nil) -> Reply {
    if let entry = store.find(key) { return .value(entry, staleness) }
    return .notFound(staleness)
  }

  private func staleness() -> Staleness {
    let lastContact =
      raft.role == .leader ? 0 : raft.lastLeaderContact.map { (now - $0).milliseconds }
    #if PLANTED_BUGS
    if raft.commitIndex > appliedIndex, PlantedBug.staleIndexAhead.isActive {
      return Staleness(lastContact: lastContact, appliedIndex: raft.commitIndex)
    }
    #endif
    return Staleness(lastContact: lastContact, appliedIndex: appliedIndex)
  }

  /// `default`: local state, if we led a moment ago and nobody else can have led since (C4). `now`
  /// was read from the clock for this very request (C5).
  private func readUnderLease(_ key: UnsafeRawBufferPointer, _ token: RequestToken) -> Disposition {
    guard raft.hasLease(at: now), let first = raft.leadership?.firstEntry.index,
      appliedIndex >= first
    else {
      if raft.role == .leader { CoverageMark.hit(.readWithoutLease) }
      return readByRound(key, token)
    }
    return .reply(read(key))
  }

  /// `consistent`: a quorum confirms, in a round begun after this arrived, that we lead (C1).
  private func readByRound(_ key: UnsafeRawBufferPointer, _ token: RequestToken) -> Disposition {
    guard raft.role == .leader else { return elsewhere() }
    #if PLANTED_BUGS
    if PlantedBug.readWithoutRound.isActive { return .reply(read(key)) }
    #endif
    guard reads.count < settings.maximumPendingReads,
      reads.keyBytes < settings.maximumPendingReadBytes
    else { return .reply(.overloaded) }
    guard let ticket = try? raft.requestRead() else { return elsewhere() }
    reads.append(
      ticket: ticket, token: token, deadline: now + settings.readPatience, key: key)
    return .pending
  }

  // MARK: Writes

  /// Proposes the command that lies encoded in `command`.
  private func write(isDelete: Bool, _ token: RequestToken) -> Disposition {
    guard raft.role == .leader else { return elsewhere() }
    if isInOtherCluster { return .reply(.otherCluster) }
    // The last of a full disk is for what frees space or keeps the cluster going (G3).
    if log.isFull, !isDelete {
      CoverageMark.hit(.writeRefusedFull)
      #if PLANTED_BUGS
      if !PlantedBug.fullDiskRefusesAppended.isActive { return whileFull() }
      #else
      return whileFull()
      #endif
    }
    do throws(Raft.Refusal) {
      let id = try raft.propose(size: command.count)
      let kind: EntryKind = isDelete ? .reclaim : .command
      log.append(EntryRecord(kind: kind, id: id, payload: command.readable))
      #if PLANTED_BUGS
      if log.isFull, PlantedBug.fullDiskRefusesAppended.isActive { return .reply(.diskFull) }
      if isTransferring, PlantedBug.transferRefusesAppended.isActive { return .reply(.noLeader) }
      if PlantedBug.replyAtAppend.isActive { return .reply(.written(id.index)) }
      #endif
      writes.append(
        PendingReplies.Item(
          index: id.index, term: id.term, token: token, deadline: now + settings.writePatience))
      metrics.writes.didPropose(id.index, at: now)
      return .pending
    } catch {
      switch error {
      case .overloaded: return .reply(.overloaded)
      case .transferring: return hold() ?? .reply(.noLeader)
      default: return elsewhere()
      }
    }
  }

  /// Whoever has room is asked to lead before anyone hears 507; the client then goes there.
  private func whileFull() -> Disposition {
    judgeDisk()
    return isTransferring ? hold() ?? .reply(.noLeader) : .reply(.diskFull)
  }

  // MARK: Elsewhere

  /// We do not lead: the client goes to the leader, waits for one, or is told that there is none.
  func elsewhere() -> Disposition {
    if let leader = reachableLeader { return .reply(leader) }
    if raft.configuration.members.isEmpty { return .reply(.notInCluster) }
    if isRemoved { return .reply(.removedFromCluster) }
    return hold() ?? .reply(.noLeader)
  }

  /// Only a leader heard from within one election timeout, by its replicated address, and never us:
  /// else two nodes could send a client back and forth (I5).
  private var reachableLeader: Reply? {
    guard raft.role != .leader, let contact = raft.lastLeaderContact,
      now - contact <= settings.parameters.electionTimeout,
      let leader = raft.configuration.member(raft.leader), leader.id != raft.id
    else { return nil }
    CoverageMark.hit(.redirected)
    return .redirect(leader: leader.name, address: leader.httpAddress)
  }

  /// A client that asked now would be served or sent to the leader.
  var isSettled: Bool { (raft.role == .leader && !isTransferring) || reachableLeader != nil }

  /// Leadership is moving: within one election timeout there is likely a leader to go to.
  func hold() -> Disposition? {
    let start = leaderlessSince ?? now
    #if PLANTED_BUGS
    let isOver = heldCount >= settings.maximumHeld
    let limit = isOver && PlantedBug.heldUnbounded.isActive ? .max : settings.maximumHeld
    #else
    let limit = settings.maximumHeld
    #endif
    guard heldCount < limit else {
      CoverageMark.hit(.tooManyHeld)
      return nil
    }
    guard now < patienceEnd(start) else { return nil }
    CoverageMark.hit(.requestHeld)
    leaderlessSince = start
    heldCount += 1
    return .hold
  }

  /// How long whoever waits for a leader since `start` does so. A node that has just started is not
  /// known to its peers yet; they dial it again within a second.
  func patienceEnd(_ start: Instant) -> Instant {
    max(start + settings.parameters.electionTimeout, startedAt + settings.startPatience)
  }

  /// Offers the held requests again: there is a leader, or the wait is over and they get their 503.
  func resumeHeldIfSettled() {
    guard heldCount > 0 || !homeless.isEmpty else { return }
    let isOver = leaderlessSince.map { now >= patienceEnd($0) } ?? true
    guard isSettled || isOver else { return }
    if isOver { CoverageMark.hit(.heldTooLong) }
    for token in homeless { replies.reply(reachableLeader ?? .noLeader, to: token) }
    homeless.removeAll()
    guard heldCount > 0 else { return }
    heldCount = 0
    replies.resumeHeldRequests()
  }

  var isTransferring: Bool { raft.leadership?.transfer != nil }
}

extension Reply {
  static var overloaded: Reply {
    .failure(
      Failure(
        status: 503, code: "overloaded", message: "Too many requests are waiting; try again.",
        retryAfter: 1))
  }
  static var noLeader: Reply {
    .failure(
      Failure(
        status: 503, code: "no_leader",
        message: "No leader is known right now; the request was not accepted, try again.",
        retryAfter: 1))
  }
  static var unconfirmed: Reply {
    .failure(
      Failure(
        status: 503, code: "not_confirmed",
        message: "No majority confirmed in time that this node still leads; try again.",
        retryAfter: 1))
  }
  static var notInCluster: Reply {
    .failure(
      Failure(
        status: 503, code: "not_in_cluster",
        message: "This node waits to be joined: GET /join?id=ID&addr=ADDR on a member.",
        retryAfter: 1))
  }
  static var removedFromCluster: Reply {
    .failure(
      Failure(
        status: 503, code: "removed",
        message: "This node was removed from its cluster; ask another node.", retryAfter: 1))
  }
  static var otherCluster: Reply {
    .failure(
      Failure(
        status: 503, code: "other_cluster",
        message: "An existing cluster counts this node as its member: this one was bootstrapped by "
          + "mistake and takes no writes. Stop it, remove its old name there, empty its data "
          + "directory and start it with -join.",
        retryAfter: 10))
  }
  static var diskFull: Reply {
    .failure(
      Failure(
        status: 507, code: "disk_full",
        message: "The disk is full: reads and deletes go on, writes wait for space."))
  }
  static var unknownOutcome: Reply {
    .failure(
      Failure(
        status: 504, code: "unknown_outcome",
        message: "The write may or may not have taken effect; read the key before trying again."))
  }
}
