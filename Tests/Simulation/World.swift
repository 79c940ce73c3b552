import RaftKV

/// A cluster with its disks, wires, clocks and clients, in one thread and under one seed: it does
/// one thing after the other, in the order of time, and the checker looks on.
package final class World {
  package let seed: UInt64
  let swarm: Swarm
  /// True time, in nanoseconds. No node sees it.
  var now: UInt64 = 0
  var queue = EventQueue<Occurrence>()
  var hosts: [Host] = []
  var network: SimulatedNetwork
  var clients: [Client] = []
  var checker = Checker()
  var trace = Trace()
  var timeline = Timeline()
  var transitions = TransitionRelation()
  /// What processes read from their clients' sockets lies here.
  private(set) lazy var guarded = GuardedBytes()
  var marks = Marks()
  /// What was planned, in order of time. Replaced before the run to replay less of it.
  package var faults: [PlannedFault] = []
  /// What the disks that are gone had. What they acknowledged they acknowledged.
  var lostLogs: [(NodeID, DurableLog)] = []
  /// Those whose time has come and that wait for their moment.
  var armed: [Int] = []
  /// Rises when everything is healed: the ends of earlier faults are void.
  var era = 0
  /// Faults may strike. Afterwards the wires lose and delay nothing.
  var isRaging = false
  /// The operator begins nothing: he would not change the membership while nodes are sick.
  var isOperatorPaused = false
  /// The liveness phase: every client works without a pause, half writes and half consistent reads.
  var isProbing = false
  /// One stream per subsystem, so that a draw in one does not reshuffle the others.
  var processRandom: Random
  var clientRandom: Random
  var faultRandom: Random
  var httpRandom: Random
  private var diskRandom: Random
  package private(set) var failure: Violation?
  package private(set) var eventCount = 0
  /// Clients ask for nothing more.
  var isQuiet = false
  /// Events since time last moved.
  var eventsNow = 0
  /// Hosts that clients talk to; all of them, but for the core in the liveness phase.
  var reachable: [Int] = []
  var nextValue: UInt64 = 1

  package init(seed: UInt64, schedule: Schedule = Schedule()) {
    self.seed = seed
    var random = Random(seed: seed)
    var swarm = Swarm(&random)
    schedule.apply(to: &swarm)
    self.swarm = swarm
    network = SimulatedNetwork(hostCount: swarm.hostCount, random: random.fork())
    processRandom = random.fork()
    clientRandom = random.fork()
    faultRandom = random.fork()
    diskRandom = random.fork()
    httpRandom = random.fork()
    var clockRandom = random.fork()
    for index in 0..<swarm.hostCount {
      let rate = swarm.has(.drift) ? 900 + clockRandom.next() % 201 : 1000
      let start = 1_000_000_000 + clockRandom.next() % (1 << 40)
      var clock = SimulatedClock(rate: rate, showing: start)
      clock.wallOffset = clockRandom.next() % 2000
      hosts.append(Host(index: index, disk: makeDisk(index), clock: clock))
    }
    reachable = Array(hosts.indices)
    for index in 0...swarm.clientCount {
      clients.append(Client(index: index, random: clientRandom.fork()))
    }
    checker.leaseBound = swarm.parameters.leaseDuration.nanoseconds * 10 / 9
  }

  func makeDisk(_ index: Int) -> SimulatedDisk {
    let disk = SimulatedDisk(random: diskRandom.fork()) { [unowned self] wait, completion in
      let epoch = hosts[index].epoch
      queue.schedule(
        .completion(host: index, epoch: epoch, completion), at: now + wait.nanoseconds)
    }
    if swarm.has(.shortWrites) { disk.shortWrites = 4 }
    disk.canAllocate = index % 3 != 2
    return disk
  }

  func host(atRaftAddress address: String) -> Int? {
    hosts.firstIndex { $0.raftAddress == address }
  }

  /// The machine that has, or had, this address.
  func host(ofRaftAddress address: String) -> Int? {
    let name = address.prefix { $0 != ":" }
    return hosts.firstIndex { $0.name == name }
  }

  func fail(_ invariant: Invariant, _ message: String) {
    guard failure == nil else { return }
    tell(nil, "FAILED \(invariant.rawValue): \(message)")
    failure = Violation(invariant: invariant, message: message, time: now)
  }

  // MARK: Running

  /// Lets the world go on until `deadline`, until `isDone`, or until an invariant is broken.
  /// Returns whether it was done.
  @discardableResult
  func run(until deadline: UInt64, _ isDone: () -> Bool = { false }) -> Bool {
    while failure == nil {
      if isDone() { return true }
      guard let next = queue.nextTime, next <= deadline, let due = queue.popNext() else { break }
      checkProgress(to: due.time)
      now = due.time
      eventCount += 1
      handle(due.event)
    }
    if failure == nil { now = max(now, deadline) }
    return failure == nil && isDone()
  }

  private func handle(_ event: Occurrence) {
    switch event {
    case .wake(let host, let epoch):
      // Another wake-up was planned since, for another time.
      guard let process = process(host, epoch), process.wakesAt == now else { return }
      process.wakesAt = .max
      deliver(event, to: hosts[host], process)
    case .completion(let host, let epoch, _), .turn(let host, let epoch),
      .dial(let host, let epoch, _):
      guard let process = process(host, epoch) else { return }
      deliver(event, to: hosts[host], process)
    case .packet(let packet): arrive(packet)
    case .request(let request): arrive(request)
    case .handshakeTimeout(let connection):
      guard let process = process(connection.dialler, connection.diallerEpoch) else { return }
      guard connection.inquiry != nil || !connection.isOpen(at: connection.dialler) else { return }
      deliver(event, to: hosts[connection.dialler], process)
    case .silence(let connection, let host, let since):
      didFallSilent(connection, at: host, since: since)
      if hosts[host].process != nil, !hosts[host].isPaused { planTurn(hosts[host]) }
    case .answer(let client, let sequence, let answer):
      receive(answer, sequence: sequence, client: client)
    case .clientStep(let client): step(client)
    case .clientTimeout(let client, let sequence): timeOut(client, sequence: sequence)
    case .end(let era, let end): if era == self.era { end() }
    case .start(let host): if hosts[host].startsAt == now { start(hosts[host]) }
    case .fault(let index, let moment): strike(index, moment)
    }
  }

  private func process(_ host: Int, _ epoch: Int) -> Process? {
    guard let process = hosts[host].process, process.epoch == epoch else { return nil }
    return process
  }

  private func arrive(_ packet: Packet) {
    let host = hosts[packet.target]
    let connection = packet.connection
    if host.isPoweredOff { return }
    let expected =
      packet.target == connection.dialler ? connection.diallerEpoch : connection.acceptorEpoch
    var isHello = false
    if case .hello = packet.content { isHello = true }
    let isListening = !isHello || connection.address.map { $0 == host.raftAddress } ?? true
    guard let process = host.process, isListening,
      packet.isReplay || expected == nil || expected == process.epoch
    else {
      switch packet.content {
      case .reset, .connectionRefused: return
      default: break
      }
      return send(
        Packet(
          source: packet.target, target: packet.source, connection: connection,
          content: isHello ? .connectionRefused : .reset))
    }
    deliver(.packet(packet), to: host, process)
  }

  private func arrive(_ request: Request) {
    let host = hosts[request.host]
    guard let process = host.process else {
      if host.isPoweredOff { return }
      return answer(request, .noConnection)
    }
    deliver(.request(request), to: host, process)
  }

  /// An event reaches a process, or waits while that is stopped.
  private func deliver(_ event: Occurrence, to host: Host, _ process: Process) {
    if host.isPaused {
      host.inbox.append(event)
      return
    }
    take(event, host, process)
  }

  func take(_ event: Occurrence, _ host: Host, _ process: Process) {
    trace.fold(now ^ UInt64(host.index) << 56)
    switch event {
    case .completion(_, _, let completion):
      trace.note(now, host.index, "disk completes")
      completion()
    case .packet(let packet):
      traceArrival(packet)
      noteArrival(packet, process)
      process.transport.receive(packet)
    case .request(let request): process.port.handle(request)
    case .wake:
      guard host.clock.instant(at: now) >= process.replica.nextDeadline else {
        return armWake(host, process)
      }
      process.replica.timerFired()
    case .turn: process.isTurnPlanned = false
    case .dial(_, _, let peer): process.transport.dialIfDue(peer)
    case .handshakeTimeout(let connection): process.transport.expire(connection)
    default: preconditionFailure("only events of a process reach one")
    }
    judgeAnswers(process)
    var isTurn = swarm.turnTime == 0
    if case .turn = event { isTurn = true }
    if isTurn { return runTurn(host) }
    // Within one turn a node may win an election and lose the office again, and the disk may take
    // an entry that memory has let go of by the end of the turn: each is a step.
    observeLog(host, process)
    checkTransition(host, process)
    planTurn(host)
  }

  private func noteArrival(_ packet: Packet, _ process: Process) {
    guard case .message(let envelope, _, _) = packet.content else { return }
    let outline = process.replica.raft.outline
    let isFull = process.replica.raft.storage == .full
    transitions.didReceive(envelope, isFull: isFull) {
      $0.index < outline.base.index || outline.contains($0)
    }
    guard packet.chunk?.isLast == true else { return }
    didHappen(.snapshotReceived, at: packet.target, to: packet.source)
  }

  private func traceArrival(_ packet: Packet) {
    guard trace.isRecording else { return }
    switch packet.content {
    case .message(let envelope, _, _):
      trace.note(
        now, packet.target, "← n\(packet.source + 1) @\(envelope.term) \(envelope.message)")
    case .hello: trace.note(now, packet.target, "← n\(packet.source + 1) hello")
    case .welcome: trace.note(now, packet.target, "← n\(packet.source + 1) welcome")
    case .refusal(let refusal):
      trace.note(now, packet.target, "← n\(packet.source + 1) refuses: \(refusal.sentence)")
    case .reset: trace.note(now, packet.target, "← n\(packet.source + 1) reset")
    case .connectionRefused: trace.note(now, packet.target, "← n\(packet.source + 1) nobody there")
    }
  }

  // MARK: Turns

  func planTurn(_ host: Host) {
    guard let process = host.process, !process.isTurnPlanned else { return }
    process.isTurnPlanned = true
    queue.schedule(
      .turn(host: host.index, epoch: process.epoch), at: now + swarm.turnTime)
  }

  /// The loop's turns that follow one event, until the process waits again.
  func runTurn(_ host: Host) {
    guard let process = host.process else { return }
    var rounds = 0
    repeat {
      process.wantsTurn = false
      process.replica.endTurn()
      if process.port.endTurn() { process.wantsTurn = true }
      rounds += 1
    } while process.wantsTurn && rounds < 32 && process.fatal == nil && !host.disk.hasCrashed
    observe(host, process)
    sendAnswers(process)
    if host.disk.hasCrashed {
      marks.hit(.crashAtDiskAccess)
      kill(host, losingPower: host.crashPlan.losingPower)
      return planStart(host, after: host.crashPlan.downTime)
    }
    if let fatal = process.fatal { return exit(host, fatal) }
    if process.wantsTurn {
      process.isTurnPlanned = true
      queue.schedule(
        .turn(host: host.index, epoch: process.epoch), at: now + 50 * Duration.microsecond)
    }
    armWake(host, process)
  }

  /// As soon as they are given: a process may stand still before its turn ends, and an answer that
  /// lies ready by then was right when it was made (C6).
  private func judgeAnswers(_ process: Process) {
    guard !process.port.answers.isEmpty else { return }
    for (request, answer) in process.port.answers { judge(answer, to: request) }
    process.port.answers.removeAll(keepingCapacity: true)
  }

  private func sendAnswers(_ process: Process) {
    judgeAnswers(process)
    for (request, answer) in process.port.deliveries { self.answer(request, answer) }
    process.port.deliveries.removeAll(keepingCapacity: true)
  }

  private func armWake(_ host: Host, _ process: Process) {
    let deadline = process.replica.nextDeadline
    let time = max(host.clock.time(of: deadline), now)
    guard time < process.wakesAt else { return }
    process.wakesAt = time
    queue.schedule(.wake(host: host.index, epoch: process.epoch), at: time)
  }
}
