import RaftKV

/// What operators do, and what may be lost at all: no system survives the loss of a majority's
/// data, so it is not asked of this one. Everything else is.
extension World {
  var isOperatorBusy: Bool { !clients[0].errands.isEmpty }

  func ask(_ errands: [Request.Action]) {
    let wasBusy = isOperatorBusy
    clients[0].errands += errands
    if !wasBusy { queue.schedule(.clientStep(0), at: now) }
  }

  // MARK: What may be lost

  /// Every configuration that some voter may act by: what is committed, and what each voter's log
  /// ends with. Whoever is none, by its own log, and was none before it, asks for no votes: it is
  /// catching up, and may be anywhere in the past.
  var configurationsInForce: [Configuration] {
    var configurations = [checker.configuration]
    for host in hosts {
      let node = host.promise.node
      if let process = host.process {
        let isVoter =
          process.replica.raft.configuration.isVoter(node)
          || process.replica.raft.configurations.previous?.isVoter(node) == true
        if isVoter { configurations.append(process.replica.raft.configuration) }
      } else if host.lastConfiguration.isVoter(node) {
        configurations.append(host.lastConfiguration)
      }
    }
    return configurations
  }

  /// Whether the data of this host may go, and another node come in its place: without it, and
  /// without what is lost already, every configuration still has a majority whose disks are sound.
  func mayLose(_ host: Host) -> Bool {
    guard areAddressesCommitted, areConfigurationsDurable else { return false }
    let sound = hosts.filter { $0 !== host && !$0.isLost }.map(\.promise.node)
    return configurationsInForce.allSatisfy { Self.isMajority(sound, of: $0.voters) }
  }

  /// Whether no crash can bring a configuration back into force that is not so now: the one before
  /// it, where the newest was not on a node's disk yet.
  private var areConfigurationsDurable: Bool {
    hosts.allSatisfy { $0.process?.hasDurableConfiguration ?? $0.hadDurableConfiguration }
  }

  static func isMajority(_ nodes: [NodeID], of voters: [NodeID]) -> Bool {
    let count = voters.reduce(0) { $0 + (nodes.contains($1) ? 1 : 0) }
    return voters.isEmpty || count > voters.count / 2
  }

  /// Whether a member may go: those that stay must be sound in their majority, or the loss that was
  /// excused would have become one that is not.
  private func mayRemove(_ host: Host) -> Bool {
    guard checker.configuration.voterCount >= 2 else { return false }
    let sound = hosts.filter { $0 !== host && !$0.isLost }.map(\.promise.node)
    return configurationsInForce.allSatisfy { configuration in
      Self.isMajority(sound, of: configuration.voters.filter { $0 != host.promise.node })
    }
  }

  // MARK: Loss of data

  /// A disk is lost with all that was on it.
  func wipe(_ host: Host, joinsAtOnce: Bool) {
    guard !isOperatorBusy, mayLose(host) else { return }
    kill(host, losingPower: false)
    replace(host, joinsAtOnce: joinsAtOnce)
  }

  /// The procedure: remove, empty the directory, join. Who joins at once is told to remove first.
  func replace(_ host: Host, joinsAtOnce: Bool = false) {
    marks.hit(.nodeRejoined)
    lostLogs.append((host.promise.node, host.disk.durableLog))
    host.disk = makeDisk(host.index)
    host.isWiped = true
    host.makesCluster = false
    host.promise = Promise()
    host.lastConfiguration = .empty
    host.hadDurableConfiguration = true
    planStart(host, after: 100 * Duration.millisecond)
    ask(joinsAtOnce ? [.join(host: host.index)] : renewal(of: host))
  }

  func renewal(of host: Host) -> [Request.Action] {
    [.remove(name: host.name, force: false), .join(host: host.index)]
  }

  /// Rot on a stopped node. It must be seen at the start, or do no harm.
  func rot(_ host: Host, _ bits: UInt64, _ downTime: UInt64) {
    guard !isOperatorBusy, !host.isLost, host.process != nil, mayLose(host) else { return }
    kill(host, losingPower: false)
    planStart(host, after: downTime)
    var random = Random(seed: bits)
    guard let name = host.disk.rot(&random) else { return }
    tell(host, "has rot in \(name)")
    marks.hit(.diskRotten)
    host.damagedFile = name
  }

  // MARK: Membership

  func remove(_ host: Host, _ awayTime: UInt64) {
    guard !isOperatorBusy, !host.isLost, !host.isAway, mayRemove(host) else { return }
    host.isAway = true
    ask([.remove(name: host.name, force: false)])
    let era = era
    queue.schedule(
      .end(era: era) { [unowned self] in bringBack(host) }, at: now + awayTime)
  }

  func bringBack(_ host: Host) {
    guard host.isAway else { return }
    host.isAway = false
    ask([.join(host: host.index)])
  }

  /// Whether every log that may be acted by has the addresses of all others right. A new address is
  /// learned from its owner's call alone: two owners who both moved call each other in vain, and if
  /// they need one another for a majority nobody can help but an operator. So that is not done to
  /// them.
  private func isOnlyMover(_ host: Host, knowing known: Configuration) -> Bool {
    configurationsInForce.allSatisfy { configuration in
      hosts.allSatisfy { other in
        guard other !== host, configuration.contains(other.promise.node) else { return true }
        return knows(configuration, moveOf: other) && known.contains(other.promise.node)
      }
    }
  }

  /// Whether what is committed has the address of every member. Who has moved and is not found yet
  /// would not know whoever comes in the place of another one now, and could not call it.
  private var areAddressesCommitted: Bool {
    hosts.allSatisfy { isRight(checker.configuration, about: $0) }
  }

  /// Whether it has this host's present address, if it has this host at all.
  private func isRight(_ configuration: Configuration, about host: Host) -> Bool {
    !configuration.contains(host.promise.node) || knows(configuration, moveOf: host)
  }

  /// Whether its last move is over: an entry that has it and is older than a start, and gets through
  /// long after, would be taken for an operator's word.
  private func isSettled(_ host: Host) -> Bool {
    configurationsInForce.allSatisfy { isRight($0, about: host) }
  }

  /// It comes back under another address, and says so itself. Where it would lose the entry with
  /// another's new address, there would be two of them that have moved. Who does not know yet that
  /// it is a member takes the address it was joined by for its operator's later word, until its next
  /// start.
  func move(_ host: Host, _ downTime: UInt64) {
    guard let replica = host.process?.replica,
      let member = replica.raft.configuration.member(replica.raft.id),
      member.memberSince <= replica.raft.persistedIndex,
      replica.raft.configurations.currentIndex <= replica.raft.persistedIndex,
      isSettled(host), isOnlyMover(host, knowing: replica.raft.configuration)
    else { return }
    marks.hit(.memberMoved)
    kill(host, losingPower: false)
    let port = Int(host.raftAddress.split(separator: ":")[1]) ?? 0
    host.raftAddress = "\(host.name):\(port + 1)"
    planStart(host, after: downTime)
  }

  /// A clean stop: leadership first.
  func stop(_ host: Host, _ downTime: UInt64) {
    guard let process = host.process, !host.isPaused else { return }
    process.replica.beginStop()
    runTurn(host)
    let epoch = host.epoch
    queue.schedule(
      .end(era: era) { [unowned self] in
        guard host.epoch == epoch else { return }
        kill(host, losingPower: false)
        planStart(host, after: downTime)
      }, at: now + Duration.second)
  }

  /// Asks the leader to remove itself, and does not follow it to the next one: what is left of it
  /// is a hand-over. Nobody waits for the answer: its sequence number is nobody's.
  func askForTransfer() {
    guard let leader = currentLeader, hosts.count > 1, !isOperatorBusy else { return }
    let request = Request(
      client: 0, sequence: 0, host: leader, action: .remove(name: hosts[leader].name, force: false),
      key: 0)
    queue.schedule(.request(request), at: now)
  }

  /// Clients that nobody counts write all at once. Their sequence numbers are nobody's.
  func burst(_ host: Int, _ count: Int) {
    for _ in 0..<count {
      let request = Request(
        client: 1, sequence: Self.firstOfBursts + Int(nextValue), host: host,
        action: .put(value: nextValue, size: 8), key: Int(nextValue) % swarm.keyCount)
      nextValue += 1
      queue.schedule(.request(request), at: now)
    }
  }

  private static let firstOfBursts = 1 << 30
}
