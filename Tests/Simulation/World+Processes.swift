import RaftKV

/// How processes begin, stand still and end.
extension World {
  /// A start as the server does it: inspect, create where nothing is, open, wire.
  func start(_ host: Host) {
    host.startsAt = nil
    guard host.process == nil, !host.isHeldDown else { return }
    host.isPoweredOff = false
    host.silentSince = nil
    host.epoch += 1
    tell(host, "starts, epoch \(host.epoch)")
    let errorsBefore = host.disk.injectedErrors
    do throws(RecoveryError) {
      try createIfNew(host)
      let recovered = try RecoveredNode.open(
        host.disk, limits: swarm.limits, random: processRandom.fork(),
        clock: clock(of: host), logger: logger(host))
      compose(host, recovered)
    } catch { didNotStart(host, error, errorsBefore) }
  }

  private func createIfNew(_ host: Host) throws(RecoveryError) {
    if try DataDirectory.inspect(host.disk) != nil { return }
    let id = NodeID(processRandom.next() & ~0xff | UInt64(host.index + 1))
    var identity = Identity(cluster: .none, node: id, name: host.name)
    var configuration: Configuration?
    if host.makesCluster {
      identity.cluster = ClusterID(processRandom.next() | 1)
      configuration = Configuration(members: [
        Configuration.Member(
          id: id, name: host.name, memberSince: LogIndex(1), raftAddress: host.raftAddress,
          httpAddress: host.httpAddress, role: .voter)
      ])
    }
    // A crash in what follows may leave the whole directory, and so this node.
    host.promise = Promise(node: id)
    try DataDirectory.create(
      host.disk, identity: identity, configuration: configuration, limits: swarm.limits,
      random: processRandom.fork())
    guard let configuration else { return }
    var payload = ByteBuffer()
    configuration.encode(into: &payload)
    let first = EntryID(index: LogIndex(1), term: Term(1))
    learn(
      EntryRecord(kind: .configuration, id: first, payload: payload.readable), after: 0, host)
  }

  private func compose(_ host: Host, _ recovered: consuming RecoveredNode<SimulatedDisk>) {
    let replica = Process.Node(
      settings: settings(host), recovered: recovered, logger: logger(host),
      seed: processRandom.next(), clock: clock(of: host),
      wallClock: { [unowned self, unowned host] in host.clock.wallClock(at: now) })
    let transport = SimulatedTransport(self, host: host.index, epoch: host.epoch)
    let port = ClientPort(self, host: host.index, epoch: host.epoch)
    transport.replica = replica
    port.serve(replica)
    replica.transport = transport
    replica.replies = port
    host.makesCluster = false
    let mirror = LogMirror(base: replica.raft.outline.base.index)
    let process = Process(
      epoch: host.epoch, replica: replica, transport: transport, port: port, mirror: mirror,
      hostCount: hosts.count, injectedErrors: host.disk.injectedErrors)
    replica.requestAnotherTurn = { [unowned process] in process.wantsTurn = true }
    replica.onFatal = { [unowned process] in process.fatal = $0 }
    host.process = process
    // A slot of the hard state is written anew from the other one.
    if host.damagedFile == DurableHardState.fileName { host.damagedFile = nil }
    transitions.didStart(process.replica.raft.id)
    checkRecovery(host, process)
    runTurn(host)
  }

  /// Asked several times in every turn; the world and its hosts outlive every process.
  private func clock(of host: Host) -> () -> Instant {
    { [unowned(unsafe) self, unowned(unsafe) host] in host.clock.instant(at: now) }
  }

  private func settings(_ host: Host) -> ReplicaSettings {
    var settings = ReplicaSettings(
      name: host.name, raftAddress: host.raftAddress, httpAddress: host.httpAddress,
      version: "simulated")
    settings.parameters = swarm.parameters
    settings.snapshotEntries = swarm.snapshotEntries
    settings.snapshotBytes = swarm.snapshotBytes
    settings.keptTailBytes = swarm.keptTailBytes
    settings.snapshotSliceBytes = 4096
    settings.stateHashInterval = 16
    settings.maximumValueSize = 4096
    settings.maximumHeld = swarm.maximumHeld
    settings.maximumPendingReads = swarm.maximumPendingReads
    settings.maximumDeferred = swarm.maximumDeferred
    return settings
  }

  private func logger(_ host: Host) -> Logger {
    guard trace.isRecording else { return .silent }
    return Logger(level: .debug) { [unowned self, unowned host] level, _, text in
      trace.note(now, host.index, "\(level): \(text)")
    }
  }

  private func didNotStart(_ host: Host, _ error: RecoveryError, _ errorsBefore: Int) {
    tell(host, "does not start: \(error)")
    if host.disk.hasCrashed {
      marks.hit(.crashInRecovery)
      crashDisk(host, losingPower: host.crashPlan.losingPower)
      return planStart(host, after: host.crashPlan.downTime)
    }
    switch error {
    case .io where host.disk.injectedErrors > errorsBefore || host.disk.quota != nil:
      planStart(host, after: Duration.second)
    // The one who finds rot is replaced; that there was some, the atlas knows.
    case .corrupt where host.isDamaged, .foreign where host.isDamaged,
      .newerFormat where host.isDamaged:
      replaceDamaged(host)
    default: fail(.recovery, "\(host.name) does not start: \(error)")
    }
  }

  private func replaceDamaged(_ host: Host) {
    marks.hit(.rotFound)
    host.damagedFile = nil
    replace(host)
  }

  func planStart(_ host: Host, after wait: UInt64) {
    guard host.startsAt == nil else { return }
    host.startsAt = now + wait
    queue.schedule(.start(host: host.index), at: now + wait)
  }

  // MARK: Ends

  /// The process is gone from one moment to the next. Its kernel hangs up for it, unless the
  /// machine goes with it.
  func kill(_ host: Host, losingPower: Bool) {
    guard let process = host.process else { return }
    tell(host, losingPower ? "loses power" : "is killed")
    trace.fold(0xdead ^ UInt64(host.index))
    host.promise = checker.promise(of: process, host.promise)
    host.lastConfiguration = process.replica.raft.configuration
    host.hadDurableConfiguration = process.hasDurableConfiguration
    let connections = process.transport.openConnections
    crashDisk(host, losingPower: losingPower)
    host.process = nil
    host.inbox.removeAll()
    host.unread = []
    host.pauses = 0
    process.replica.transport = nil
    process.replica.replies = nil
    process.port.end()
    if losingPower {
      host.isPoweredOff = true
      host.silentSince = now
      for connection in connections {
        queue.schedule(
          .silence(connection, host: connection.other(host.index), since: now),
          at: now + Self.silenceLimit)
      }
    } else {
      for connection in connections {
        send(
          Packet(
            source: host.index, target: connection.other(host.index), connection: connection,
            content: .reset))
      }
    }
    loseClients(of: host.index, isSilent: losingPower)
  }

  /// Nothing more is done. What would hold each other for ever is taken apart.
  func end() {
    for host in hosts {
      host.process?.port.end()
      host.disk.abandon()
    }
  }

  private func crashDisk(_ host: Host, losingPower: Bool) {
    host.disk.crash(losingPower: losingPower)
    host.disk.fault = { _, _ in nil }
  }

  /// The node has ended by itself; whether it may have is the question.
  func exit(_ host: Host, _ fatal: FatalError) {
    tell(host, "exits: \(fatal.message)")
    let process = host.process!
    if fatal.exitCode == .diskFailure, host.disk.injectedErrors > process.injectedErrorsBefore {
      marks.hit(.exitedOnDiskError)
      kill(host, losingPower: swarm.has(.powerLoss) && faultRandom.coin(0.3))
      return planStart(host, after: Duration.second)
    }
    // A node that is joined must write whose it is, and ends where there is no space: it has
    // promised nothing. There may be space again by the time a slow disk says so.
    if fatal.exitCode == .diskFailure, fatal.message.hasPrefix("the identity cannot be written"),
      fatal.message.hasSuffix("errno \(DiskError.noSpace)")
    {
      kill(host, losingPower: false)
      return planStart(host, after: Duration.second)
    }
    if fatal.exitCode == .corruptData, host.isDamaged {
      kill(host, losingPower: false)
      return replaceDamaged(host)
    }
    fail(.noFatalError, "\(host.name) exits: \(fatal.message)")
  }

  // MARK: Pauses

  func pause(_ host: Host) {
    guard host.process != nil else { return }
    host.pauses += 1
    guard host.pauses == 1 else { return }
    tell(host, "is stopped")
    host.silentSince = now
    for connection in host.process?.transport.openConnections ?? [] {
      queue.schedule(
        .silence(connection, host: connection.other(host.index), since: now),
        at: now + Self.silenceLimit)
    }
  }

  /// Timers first, then what the sockets hold, in two portions: one poll does not read everything,
  /// or nothing at all (H1).
  func resume(_ host: Host) {
    guard host.isPaused else { return }
    host.pauses -= 1
    guard !host.isPaused, let process = host.process else { return }
    tell(host, "goes on")
    host.silentSince = nil
    process.resumedAt = now
    let waiting = host.inbox.filter { if case .wake = $0 { false } else { true } }
    host.inbox = []
    let instant = host.clock.instant(at: now)
    let deadline = process.replica.raft.deadline
    process.hasStoodStill =
      instant > deadline && instant - deadline > swarm.parameters.electionTimeout / 2
    if instant >= process.replica.nextDeadline { process.replica.timerFired() }
    let first = processRandom.coin(0.5) ? 0 : processRandom.below(waiting.count + 1)
    host.unread = waiting[...]
    for end in [waiting.count - first, 0] {
      while host.process === process, host.unread.count > end {
        take(host.unread.removeFirst(), host, process)
      }
      if host.process === process { runTurn(host) }
    }
    process.hasStoodStill = false
  }
}
