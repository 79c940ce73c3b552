/// `/join`, `/remove`, and members that move. The leader works them off one at a time, because
/// configurations change one at a time (D1).
extension Replica {
  // MARK: What clients ask

  func handleJoin(
    _ name: String, _ raftAddress: String, _ httpAddress: String?, _ token: RequestToken
  ) -> Disposition {
    guard raft.role == .leader else { return elsewhere() }
    if isInOtherCluster { return .reply(.otherCluster) }
    if isStopping { return .reply(.noLeader) }
    if attach(token, toJoinOf: name, raftAddress) { return .pending }
    guard administration.waiting.count < settings.maximumQueuedChanges else {
      return .reply(.tooManyChanges)
    }
    administration.waiting.append(
      .join(
        Administration.Join(
          name: name, raftAddress: raftAddress, httpAddress: httpAddress, tokens: [token])))
    return .pending
  }

  private func attach(
    _ token: RequestToken, toJoinOf name: String, _ raftAddress: String
  ) -> Bool {
    func isSame(_ join: Administration.Join) -> Bool {
      join.name == name && join.raftAddress == raftAddress
        && join.tokens.count < settings.maximumHeld
    }
    if case .join(var join)? = administration.current, isSame(join) {
      join.tokens.append(token)
      administration.current = .join(join)
      return true
    }
    for position in administration.waiting.indices {
      guard case .join(var join) = administration.waiting[position], isSame(join) else { continue }
      join.tokens.append(token)
      administration.waiting[position] = .join(join)
      return true
    }
    return false
  }

  func handleRemove(_ name: String, force: Bool, _ token: RequestToken) -> Disposition {
    guard raft.role == .leader else { return elsewhere() }
    if isInOtherCluster { return .reply(.otherCluster) }
    if isStopping { return .reply(.noLeader) }
    // The leader itself: another one leads first, and removes us (E1). The request is
    // not accepted here; it is held and then sent to the new leader. Should nobody take
    // over, it comes back here, once.
    if name == settings.name, raft.configuration.voterCount > 1 {
      let hasJustFailed =
        transferFailed.map { now - $0 < settings.parameters.electionTimeout } ?? false
      guard !hasJustFailed,
        isTransferring || raft.transferLeadership(at: now, into: &effects)
      else { return .reply(.noSuccessor) }
      return hold() ?? .reply(.noLeader)
    }
    guard administration.waiting.count < settings.maximumQueuedChanges else {
      return .reply(.tooManyChanges)
    }
    administration.waiting.append(
      .remove(Administration.Remove(name: name, isForced: force, token: token)))
    return .pending
  }

  // MARK: Steps

  /// Takes the current task as far as it goes now. Called every turn.
  func stepAdministration() {
    noteUnconfirmedMoves()
    guard raft.role == .leader, !administration.isIdle else { return }
    while true {
      if administration.current == nil {
        guard let next = administration.waiting.popFirst() else { return }
        administration.current = next
        administration.attempt += 1
      }
      switch administration.current! {
      case .join(let join): step(join)
      case .remove(let remove): step(remove)
      case .update(let update): step(update)
      }
      guard administration.current == nil else { return }  // It waits for something.
    }
  }

  /// Leadership is over: what was not appended was not accepted; the rest is
  /// in the next leader's hands.
  func abandonAdministration() {
    var tasks = Array(administration.waiting)
    if let current = administration.current { tasks.insert(current, at: 0) }
    // Attempts are never numbered twice: the dial of an abandoned one may still be answered.
    let attempt = administration.attempt + 1
    administration = Administration()
    administration.attempt = attempt
    for task in tasks {
      switch task {
      case .join(let join):
        var reply = Reply.noLeader
        if case .appended = join.phase { reply = .unknownChange }
        for token in join.tokens { replies.reply(reply, to: token) }
      case .remove(let remove):
        var reply = Reply.noLeader
        if case .appended = remove.phase { reply = .unknownChange }
        replies.reply(reply, to: remove.token)
      case .update: break
      }
    }
  }

  private func finish(_ join: Administration.Join, _ reply: Reply) {
    administration.current = nil
    for token in join.tokens { replies.reply(reply, to: token) }
  }

  /// Appends a change; returns whether it is in the log now. A change that must wait is
  /// tried again in every turn.
  func append(_ change: Raft.Change) throws(Raft.Refusal) -> Bool {
    do throws(Raft.Refusal) {
      try raft.change(change, at: now, into: &effects)
      performLogEdits()
      return true
    } catch .configurationPending {
      return false
    } catch .transferring {
      return false
    }
  }

  // MARK: Join

  private func step(_ join: Administration.Join) {
    switch join.phase {
    case .new: discover(join)
    case .waiting(let until): if now >= until { discover(join) }
    case .discovering: break
    case .discovered(let id, let httpAddress): add(join, id, httpAddress)
    case .appended(let id, let index): watch(join, id, index)
    }
  }

  /// Dials the address before anything is written: a learner that nobody can reach helps nobody.
  private func discover(_ join: Administration.Join) {
    var join = join
    join.startedAt = join.startedAt ?? now
    join.phase = .discovering
    administration.current = .join(join)
    let attempt = administration.attempt
    transport.discover(address: join.raftAddress, name: join.name) { [self] result in
      guard administration.attempt == attempt, case .join(var join)? = administration.current,
        join.phase == .discovering
      else { return }
      now = clock()
      switch result {
      case .failure(let failure): didNotDiscover(join, failure)
      case .success(let peer):
        // It will stand in the `Location` of redirects: what is no address must not get there (I6).
        guard HostPort(peer.httpAddress) != nil else {
          return didNotDiscover(join, .notAPeer("its HTTP address is none"))
        }
        join.phase = .discovered(
          peer.id, httpAddress: join.httpAddress ?? peer.httpAddress)
        administration.current = .join(join)
      }
    }
  }

  private func didNotDiscover(_ join: Administration.Join, _ failure: DiscoveryFailure) {
    var isRefusal = false
    if case .refused(let refusal) = failure {
      isRefusal = true
      // We have dialled ourselves: the address is ours.
      if refusal.code == .selfConnect, join.name == settings.name {
        var join = join
        join.phase = .discovered(
          raft.id, httpAddress: join.httpAddress ?? settings.httpAddress)
        administration.current = .join(join)
        return
      }
    }
    // A member that is down is a member all the same, if that is committed.
    if !isRefusal, raft.configurations.currentIndex <= raft.commitIndex,
      let member = raft.configuration.member(named: join.name),
      member.raftAddress == join.raftAddress, member.role == .voter,
      join.httpAddress == nil || join.httpAddress == member.httpAddress
    {
      return finish(join, .joined(member))
    }
    // It may be starting just now.
    let retry = now + Self.discoveryPause
    if !isRefusal, let startedAt = join.startedAt, retry < startedAt + settings.discoveryPatience {
      var join = join
      CoverageMark.hit(.joinDialsAgain)
      join.phase = .waiting(until: retry)
      administration.current = .join(join)
      return
    }
    finish(join, .discovery(failure, join.name, join.raftAddress))
  }

  private static var discoveryPause: Interval { .milliseconds(200) }

  private func add(_ join: Administration.Join, _ id: NodeID, _ httpAddress: String) {
    // As for a removal: nothing is said of a configuration that may yet be taken back.
    guard raft.mayChangeConfiguration else { return }
    var join = join
    let change: Raft.Change
    if let known = raft.configuration.member(named: join.name) {
      // A wiped disk under an old name has forgotten what it promised (D9).
      guard known.id == id else {
        CoverageMark.hit(.joinOfWipedNode)
        return finish(join, .knownWithOtherData(join.name))
      }
      if known.raftAddress == join.raftAddress, known.httpAddress == httpAddress {
        join.phase = .appended(id, index: raft.configurations.currentIndex)
        administration.current = .join(join)
        return
      }
      change = .update(id, raftAddress: join.raftAddress, httpAddress: httpAddress)
    } else if let known = raft.configuration.member(id) {
      return finish(join, .knownByOtherName(known.name))
    } else {
      change = .add(
        Configuration.Member(
          id: id, name: join.name, memberSince: .zero, raftAddress: join.raftAddress,
          httpAddress: httpAddress, role: .learner))
    }
    do throws(Raft.Refusal) {
      guard try append(change) else { return }
      join.phase = .appended(id, index: raft.lastIndex)
      administration.current = .join(join)
    } catch {
      finish(join, error == .tooManyMembers ? .tooManyMembers : .noLeader)
    }
  }

  /// The engine promotes the learner once it has caught up, or removes it when it stands still.
  private func watch(_ join: Administration.Join, _ id: NodeID, _ index: LogIndex) {
    guard raft.commitIndex >= max(index, raft.configurations.currentIndex) else { return }
    guard let member = raft.configuration.member(id) else {
      return finish(join, .joinStalled(join.name))
    }
    if member.role == .voter { finish(join, .joined(member)) }
  }

  // MARK: Remove

  private func step(_ remove: Administration.Remove) {
    var remove = remove
    if case .appended(let index) = remove.phase {
      guard raft.commitIndex >= index else { return }
      administration.current = nil
      return replies.reply(.removed(name: remove.name, at: index), to: remove.token)
    }
    func refuse(_ reply: Reply) {
      administration.current = nil
      replies.reply(reply, to: remove.token)
    }
    // Not even a refusal is given from a configuration that may yet be taken back: whoever hears
    // that nobody has that name joins a wiped node under it, and would meet the old one again (D7).
    guard raft.mayChangeConfiguration else { return }
    guard let member = raft.configuration.member(named: remove.name) else {
      return refuse(.unknownMember(remove.name))
    }
    if member.role == .voter, raft.configuration.voterCount == 1 { return refuse(.lastVoter) }
    if !remove.isForced, member.role == .voter {
      guard case .asking(let round, let until) = remove.phase else {
        remove.phase = .asking(
          round: raft.requestRound(), until: now + settings.parameters.electionTimeout)
        administration.current = .remove(remove)
        return
      }
      if !keepsQuorum(without: member.id, heardIn: round) {
        guard now >= until else { return }
        CoverageMark.hit(.removeWouldLoseQuorum)
        return refuse(.wouldLoseQuorum)
      }
    }
    do throws(Raft.Refusal) {
      guard try append(.remove(member.id)) else { return }
      remove.phase = .appended(raft.lastIndex)
      administration.current = .remove(remove)
    } catch {
      refuse(error == .lastVoter ? .lastVoter : .noLeader)
    }
  }

  /// Whether a majority of the voters that would be left has answered `round`, which began after
  /// the client asked (D13). To have been heard from lately is not enough: who died a moment ago,
  /// or whom a new leader has not heard at all yet, would still count.
  private func keepsQuorum(without id: NodeID, heardIn round: UInt64) -> Bool {
    Quorum(raft.configuration.voters.filter { $0 != id }).holds { voter in
      guard voter != raft.id else { return true }
      guard let progress = raft.leadership?.progress(of: voter) else { return false }
      return progress.isConnected && progress.round >= round
    }
  }
}

extension Reply {
  fileprivate static func conflict(_ code: String, _ message: String) -> Reply {
    .failure(Failure(status: 409, code: code, message: message))
  }

  static var noSuccessor: Reply {
    conflict(
      "no_successor",
      "This node leads and no other voter can take over: start one, or remove another node first.")
  }
  static var tooManyChanges: Reply {
    .failure(
      Failure(
        status: 429, code: "too_many_changes",
        message: "Too many joins and removes are waiting for their turn; try again.", retryAfter: 1)
    )
  }
  static var lastVoter: Reply {
    conflict(
      "last_voter", "The last voter cannot be removed: stop the process instead.")
  }
  static var wouldLoseQuorum: Reply {
    conflict(
      "would_lose_quorum",
      "Without this node, the voters heard from lately are no majority: start one of those that "
        + "are down first, or repeat with &force=true if they are lost.")
  }
  static var tooManyMembers: Reply {
    conflict(
      "too_many_members", "A cluster has at most \(Configuration.maximumMembers) members.")
  }
  static var unknownChange: Reply {
    .failure(
      Failure(
        status: 504, code: "unknown_outcome",
        message: "Leadership moved while the change was under way: look at /status, then try again."
      ))
  }

  static func unknownMember(_ name: String) -> Reply {
    .failure(
      Failure(
        status: 404, code: "unknown_member", message: "No member is named \(name): see /status."))
  }

  static func knownWithOtherData(_ name: String) -> Reply {
    conflict(
      "other_incarnation",
      "\(name) is a member with other data: if its disk was wiped, /remove?id=\(name) first, then "
        + "join again.")
  }

  static func knownByOtherName(_ name: String) -> Reply {
    conflict("known_by_other_name", "That node is a member by the name \(name).")
  }

  static func joinStalled(_ name: String) -> Reply {
    .failure(
      Failure(
        status: 504, code: "join_stalled",
        message:
          "\(name) made no progress for ten seconds and was removed again: look at its log, then "
          + "join it again."))
  }

  static func discovery(_ failure: DiscoveryFailure, _ name: String, _ address: String) -> Reply {
    if case .refused(let refusal) = failure {
      return conflict("refused", "The node at \(address) cannot join: \(refusal.sentence).")
    }
    return .failure(
      Failure(
        status: 504, code: "unreachable",
        message: "No raftkvd answered as \(name) at \(address) (\(failure)); nothing was changed. "
          + "Start it there first."))
  }
}
