import RaftKV

/// One thing that goes wrong, or that an operator does.
enum Fault {
  case cut(Int, Int)
  case mend(Int, Int)
  case clog(Int, Int, UInt64)
  case slowLink(Int, Int, UInt64)
  case reset(Int, Int)
  case pause(Int, UInt64)
  case kill(Int, losingPower: Bool, downTime: UInt64)
  case crashAtDisk(Int, accesses: Int, downTime: UInt64)
  case diskLatency(Int, longest: UInt64)
  case fullDisk(Int, Bool)
  case diskError(Int, DiskAccess, after: Int)
  case clockRate(Int, UInt64)
  case wallClockStep(Int, UInt64)
  case wipe(Int)
  case move(Int, UInt64)
  case removeAndJoin(Int)
  case handOver(Int)
}

struct PlannedFault {
  var time: UInt64
  var fault: Fault
}

/// The whole schedule is made up front, so that it can be shown, and cut down.
struct FaultPlanner {
  private let swarm: Swarm
  private var random: Random
  private var faults: [PlannedFault] = []
  private let hostCount: Int

  init(_ swarm: Swarm, random: Random) {
    self.swarm = swarm
    self.random = random
    hostCount = swarm.hostCount
  }

  mutating func plan(from start: UInt64) -> [PlannedFault] {
    let kinds = Swarm.Feature.allCases.filter { swarm.has($0) && Self.isEvent($0) }
    guard !kinds.isEmpty else { return [] }
    for _ in 0..<swarm.faultCount {
      let time = start + random.time(0, swarm.safetyTime)
      add(random.pick(kinds), at: time)
    }
    return faults.sorted { $0.time < $1.time }
  }

  private static func isEvent(_ feature: Swarm.Feature) -> Bool {
    switch feature {
    case .datagrams, .loss, .duplication, .reordering, .replay, .drift, .powerLoss, .shortWrites,
      .snapshots, .bigValues, .slowTurns, .clientDeaths:
      false
    default: true
    }
  }

  private mutating func add(_ fault: Fault, at time: UInt64) {
    faults.append(PlannedFault(time: time, fault: fault))
  }

  private mutating func host() -> Int { random.below(hostCount) }

  private mutating func duration() -> UInt64 {
    random.logarithmic(10 * Duration.millisecond, 15 * Duration.second)
  }

  private mutating func add(_ feature: Swarm.Feature, at time: UInt64) {
    let (first, second) = (host(), host())
    switch feature {
    case .slowLinks:
      let delay = random.logarithmic(Duration.millisecond, 400 * Duration.millisecond)
      add(.slowLink(first, second, delay), at: time)
      add(.slowLink(first, second, 0), at: time + duration())
    case .clogs: add(.clog(first, second, duration()), at: time)
    case .cuts: addCut([(first, second), (second, first)], at: time)
    case .oneWayCuts: addCut([(first, second)], at: time)
    case .bridges: addBridge(at: time)
    case .isolations: addIsolation(of: first, at: time)
    case .resets: add(.reset(first, second), at: time)
    case .pauses: add(.pause(first, duration()), at: time)
    case .shortPauses:
      let length = random.logarithmic(Duration.millisecond, 300 * Duration.millisecond)
      add(.pause(first, length), at: time)
    case .clockSteps:
      add(.clockRate(first, 900 + random.next() % 201), at: time)
      add(.wallClockStep(first, random.next() % 7_200_000), at: time)
    case .kills: add(kill(first), at: time)
    case .massCrash: for host in 0..<hostCount { add(kill(host), at: time) }
    case .crashAtDisk:
      let accesses = Int(random.logarithmic(1, 200))
      add(.crashAtDisk(first, accesses: accesses, downTime: duration()), at: time)
    case .slowDisk, .hungDisk:
      let longest =
        feature == .hungDisk
        ? 4 * Duration.second
        : random.logarithmic(Duration.millisecond, 200 * Duration.millisecond)
      add(.diskLatency(first, longest: longest), at: time)
      add(.diskLatency(first, longest: 0), at: time + duration())
    case .fullDisk:
      add(.fullDisk(first, true), at: time)
      add(.fullDisk(first, false), at: time + duration())
    case .writeErrors:
      let access = random.pick([DiskAccess.write, .sync, .read, .rename, .syncDirectory])
      add(.diskError(first, access, after: random.below(20)), at: time)
    case .wipes: add(.wipe(first), at: time)
    case .moves: add(.move(first, duration()), at: time)
    case .joins, .removes: add(.removeAndJoin(first), at: time)
    case .handOvers: add(.handOver(first), at: time)
    default: preconditionFailure("\(feature) is no event")
    }
  }

  private mutating func kill(_ host: Int) -> Fault {
    .kill(
      host, losingPower: swarm.has(.powerLoss) && random.coin(0.5),
      downTime: random.logarithmic(Duration.millisecond, 10 * Duration.second))
  }

  private mutating func addCut(_ paths: [(Int, Int)], at time: UInt64) {
    let end = time + duration()
    for (source, target) in paths where source != target {
      add(.cut(source, target), at: time)
      add(.mend(source, target), at: end)
    }
  }

  private mutating func addIsolation(of host: Int, at time: UInt64) {
    addCut((0..<hostCount).flatMap { [(host, $0), ($0, host)] }, at: time)
  }

  /// Two halves that see each other through one node alone.
  private mutating func addBridge(at time: UInt64) {
    let bridge = host()
    let side = (0..<hostCount).map { _ in random.coin(0.5) }
    var paths: [(Int, Int)] = []
    for source in 0..<hostCount {
      for target in 0..<hostCount
      where side[source] != side[target] && source != bridge && target != bridge {
        paths.append((source, target))
      }
    }
    addCut(paths, at: time)
  }
}

extension World {
  func perform(_ fault: Fault) {
    tell(nil, "fault: \(fault.words)")
    switch fault {
    case .cut(let source, let target): if source != target { cut(source, target) }
    case .mend(let source, let target): mend(source, target)
    case .clog(let source, let target, let length):
      network[source, target].cloggedUntil = max(
        network[source, target].cloggedUntil, now + length)
    case .slowLink(let source, let target, let delay): network[source, target].delay = delay
    case .reset(let source, let target): reset(source, target)
    case .pause(let host, let length):
      guard hosts[host].process != nil else { return }
      pause(hosts[host])
      queue.schedule(.resume(host: host), at: now + length)
    case .kill(let host, let losingPower, let downTime):
      kill(hosts[host], losingPower: losingPower)
      planStart(hosts[host], after: downTime)
    case .crashAtDisk(let host, let accesses, let downTime):
      hosts[host].disk.accessesUntilCrash = accesses
      planStart(hosts[host], after: downTime)
    case .diskLatency(let host, let longest): setLatency(hosts[host], longest)
    case .fullDisk(let host, let isFull):
      if isFull { marks.hit(.diskFull) }
      hosts[host].disk.quota = isFull ? 0 : nil
    case .diskError(let host, let access, let count): plantError(hosts[host], access, after: count)
    case .clockRate(let host, let rate):
      if swarm.has(.drift) { hosts[host].clock.setRate(rate, at: now) }
    case .wallClockStep(let host, let offset): hosts[host].clock.wallOffset = offset
    case .wipe(let host): wipe(hosts[host])
    case .move(let host, let downTime): move(hosts[host], downTime)
    case .removeAndJoin(let host): removeAndJoin(hosts[host])
    case .handOver(let host): handOver(hosts[host])
    }
  }

  private func reset(_ source: Int, _ target: Int) {
    guard let process = hosts[source].process, !hosts[source].isPaused else { return }
    for connection in process.transport.connections(with: target) {
      process.transport.drop(connection)
    }
    runTurn(hosts[source])
  }

  private func setLatency(_ host: Host, _ longest: UInt64) {
    if longest > Duration.second { marks.hit(.diskHung) }
    host.disk.latency =
      longest == 0
      ? (Interval.microseconds(50), Interval.microseconds(400))
      : (Interval(nanoseconds: longest / 8), Interval(nanoseconds: longest))
  }

  private func plantError(_ host: Host, _ access: DiskAccess, after count: Int) {
    guard host.process != nil else { return }
    var left = count
    host.disk.fault = { asked, _ in
      guard asked == access else { return nil }
      left -= 1
      return left == -1 ? 5 : nil
    }
  }

  // MARK: Operators

  private var isOperatorBusy: Bool { !clients[0].errands.isEmpty }

  func ask(_ errands: [Request.Action]) {
    let wasBusy = isOperatorBusy
    clients[0].errands += errands
    if !wasBusy { queue.schedule(.clientStep(0), at: now) }
  }

  /// A disk is lost with all that was on it. One at a time, and only where the others still make a
  /// majority: what no system can survive is not asked of this one.
  private func wipe(_ host: Host) {
    guard !isOperatorBusy, checker.configuration.voterCount >= 3 else { return }
    marks.hit(.nodeRejoined)
    kill(host, losingPower: false)
    host.disk = makeDisk(host.index)
    host.makesCluster = false
    host.promise = Promise()
    planStart(host, after: 100 * Duration.millisecond)
    ask([.remove(name: host.name, force: false), .join(host: host.index)])
  }

  private func removeAndJoin(_ host: Host) {
    guard !isOperatorBusy, checker.configuration.voterCount >= 2 else { return }
    ask([.remove(name: host.name, force: false), .join(host: host.index)])
  }

  /// It comes back under another address, and says so itself.
  private func move(_ host: Host, _ downTime: UInt64) {
    marks.hit(.memberMoved)
    kill(host, losingPower: false)
    let port = Int(host.raftAddress.split(separator: ":")[1]) ?? 0
    host.raftAddress = "\(host.name):\(port + 1)"
    planStart(host, after: downTime)
  }

  /// A clean stop: leadership first.
  private func handOver(_ host: Host) {
    guard let process = host.process, !host.isPaused else { return }
    process.replica.beginStop()
    runTurn(host)
    let epoch = host.epoch
    queue.schedule(
      .completion(host: host.index, epoch: epoch) { [unowned self] in
        kill(host, losingPower: false)
        planStart(host, after: Duration.second)
      }, at: now + Duration.second)
  }
}
