import RaftKV

/// Faults as they strike.
extension World {
  /// The time of a planned fault has come; or its moment, if it waited for one.
  func strike(_ index: Int, _ moment: Moment?) {
    // Once healing has begun, faults that were planned come too late.
    guard faults.indices.contains(index) else { return }
    if moment == nil, faults[index].trigger != nil { return armed.append(index) }
    tell(moment.map { hosts[$0.subject] }, "fault: \(faults[index].fault.words)")
    perform(faults[index].fault, moment)
  }

  /// Something happened that a fault may be waiting for.
  func didHappen(_ trigger: Trigger, at host: Int, to other: Int? = nil) {
    guard !armed.isEmpty,
      let position = armed.firstIndex(where: { faults[$0].trigger == trigger })
    else { return }
    let index = armed.remove(at: position)
    let moment = Moment(subject: host, other: other)
    let isPrompt = faults[index].isPrompt
    if isPrompt, faults[index].fault.isOfWires { return strike(index, moment) }
    var wait: UInt64 = 0
    if !isPrompt, !faultRandom.coin(0.3) {
      wait = faultRandom.logarithmic(1000, 50 * Duration.millisecond)
    }
    queue.schedule(.fault(index, moment), at: now + wait)
  }

  /// Ends what lasts, unless everything has been healed meanwhile.
  private func later(_ wait: UInt64, _ end: @escaping () -> Void) {
    queue.schedule(.end(era: era, end), at: now + wait)
  }

  // MARK: Victims

  var currentLeader: Int? {
    var leader: (host: Int, term: Term)?
    for host in hosts {
      guard let raft = host.process?.replica, raft.raft.role == .leader else { continue }
      if raft.raft.currentTerm > leader?.term ?? .zero {
        leader = (host.index, raft.raft.currentTerm)
      }
    }
    return leader?.host
  }

  private func find(_ victim: Victim, _ moment: Moment?) -> Int {
    switch victim {
    case .host(let host): return host % hosts.count
    case .leader(let host): return currentLeader ?? host % hosts.count
    case .follower(let number):
      let leader = currentLeader ?? 0
      return hosts.count == 1 ? 0 : (leader + 1 + number % (hosts.count - 1)) % hosts.count
    case .subject: return moment?.subject ?? currentLeader ?? 0
    case .other: return moment?.other ?? moment?.subject ?? currentLeader ?? 0
    }
  }

  // MARK: Effects

  private func perform(_ fault: Fault, _ moment: Moment?) {
    switch fault {
    case .cut(let cut, let length): perform(cut, for: length, moment)
    case .clog(let source, let target, let length):
      clog([(find(source, moment), find(target, moment))], for: length)
    case .swizzle(let bits, let length): swizzle(bits, length)
    case .slowLink(let source, let target, let delay, let length):
      slow(find(source, moment), find(target, moment), delay, for: length)
    case .reset(let source, let target):
      reset(find(source, moment), find(target, moment))
    case .echo(let victim, let time): echo(to: find(victim, moment), within: time)
    case .hangUp(let source, let target, let length):
      let (source, target) = (find(source, moment), find(target, moment))
      reset(source, target)
      perform(.pair(.host(source), .host(target)), for: length, nil)
    case .resetAll(let victim):
      let host = find(victim, moment)
      for other in hosts.indices { reset(host, other) }
    case .storm(let loss, let duplication, let length):
      network.storms.removeAll { $0.end <= now }
      network.storms.append((loss, duplication, now + length))
    case .filter(let kinds, let loss, let delay, let length):
      network.filters.removeAll { $0.end <= now }
      network.filters.append((kinds, loss, delay, now + length))
    case .pause(let victim, let length): pause(find(victim, moment), for: length)
    case .suspend(let victim, let length):
      let host = find(victim, moment)
      perform(.isolated(.host(host)), for: length, nil)
      pause(host, for: length)
    case .strand(let victim, let length):
      for host in hosts { while host.isPaused { resume(host) } }
      perform(.isolated(.host(find(victim, moment))), for: length, nil)
    case .clockRate(let victim, let rate):
      if swarm.has(.drift) { hosts[find(victim, moment)].clock.setRate(rate, at: now) }
    case .wallClockStep(let victim, let offset):
      hosts[find(victim, moment)].clock.wallOffset = offset
    default: performEnd(fault, moment)
    }
  }

  private func performEnd(_ fault: Fault, _ moment: Moment?) {
    switch fault {
    case .kill(let victim, let losingPower, let downTime):
      let host = hosts[find(victim, moment)]
      kill(host, losingPower: losingPower)
      planStart(host, after: downTime)
    case .lateRefusals(let victim, let delay, let downTime):
      let host = hosts[find(victim, moment)]
      kill(host, losingPower: false)
      for other in hosts.indices { slow(host.index, other, delay, for: downTime) }
      planStart(host, after: downTime)
    case .killAll(let losingPower, let downTime):
      for host in hosts {
        kill(host, losingPower: losingPower)
        planStart(host, after: faultRandom.time(0, downTime))
      }
    case .crashAtDisk(let victim, let accesses, let losingPower, let downTime):
      let host = hosts[find(victim, moment)]
      host.disk.accessesUntilCrash = accesses
      host.crashPlan = (losingPower, downTime)
    case .slowDisk(let victim, let longest, let length):
      setLatency(hosts[find(victim, moment)], longest / 8, longest, for: length)
    case .hungDisk(let victim, let length):
      marks.hit(.diskHung)
      setLatency(hosts[find(victim, moment)], length, length, for: length)
    case .stuckWrite(let victim, let length):
      hosts[find(victim, moment)].disk.stuckWrite = Interval(nanoseconds: length)
    case .burst(let victim, let count): burst(find(victim, moment), count)
    case .fullDisk(let victim, let room, let length):
      fill(hosts[find(victim, moment)], room, for: length)
    case .diskError(let victim, let access, let prefix, let count):
      plantError(hosts[find(victim, moment)], access, of: prefix, after: count)
    case .rot(let victim, let bits, let downTime):
      rot(hosts[find(victim, moment)], bits, downTime)
    case .wipe(let victim, let joinsAtOnce):
      wipe(hosts[find(victim, moment)], joinsAtOnce: joinsAtOnce)
    case .move(let victim, let downTime): move(hosts[find(victim, moment)], downTime)
    case .remove(let victim, let awayTime): remove(hosts[find(victim, moment)], awayTime)
    case .stop(let victim, let downTime): stop(hosts[find(victim, moment)], downTime)
    case .transfer: askForTransfer()
    case .forsake(let victim, let count, let stuck, let length):
      forsake(hosts[find(victim, moment)], count, stuck, for: length)
    default: preconditionFailure("\(fault) was performed already")
    }
  }

  // MARK: Wires

  private func perform(_ cut: Cut, for length: UInt64, _ moment: Moment?) {
    let paths = paths(of: cut, moment).filter { $0.0 != $0.1 }
    for (source, target) in paths { self.cut(source, target) }
    later(length) { [unowned self] in
      for (source, target) in paths { mend(source, target) }
    }
  }

  private func paths(of cut: Cut, _ moment: Moment?) -> [(Int, Int)] {
    let all = hosts.indices.flatMap { source in hosts.indices.map { (source, $0) } }
    func between(_ side: [Bool]) -> [(Int, Int)] { all.filter { side[$0.0] != side[$0.1] } }
    func sides(_ bits: UInt64) -> [Bool] { hosts.indices.map { bits >> UInt64($0) & 1 == 1 } }
    switch cut {
    case .pair(let first, let second):
      let (first, second) = (find(first, moment), find(second, moment))
      return [(first, second), (second, first)]
    case .oneWay(let source, let target): return [(find(source, moment), find(target, moment))]
    case .isolated(let victim):
      let host = find(victim, moment)
      return all.filter { $0.0 == host || $0.1 == host }
    case .deaf(let victim):
      let host = find(victim, moment)
      return all.filter { $0.1 == host }
    case .mute(let victim):
      let host = find(victim, moment)
      return all.filter { $0.0 == host }
    case .halves(let bits): return between(sides(bits))
    case .bridge(let bits, let victim):
      let bridge = find(victim, moment)
      return between(sides(bits)).filter { $0.0 != bridge && $0.1 != bridge }
    case .ring:
      return all.filter { source, target in
        let distance = (source - target + hosts.count) % hosts.count
        return distance > 1 && distance < hosts.count - 1
      }
    case .minority(let victim, let others):
      let host = find(victim, moment)
      return between(hosts.indices.map { ($0 - host + hosts.count) % hosts.count <= others })
    }
  }

  private func clog(_ paths: [(Int, Int)], for length: UInt64) {
    let paths = paths.filter { $0.0 != $0.1 }
    for (source, target) in paths { clog(source, target) }
    later(length) { [unowned self] in
      for (source, target) in paths { unclog(source, target) }
    }
  }

  /// Some hosts are clogged one after the other, and freed in another order.
  private func swizzle(_ bits: UInt64, _ length: UInt64) {
    var random = Random(seed: bits)
    for host in hosts.indices where random.coin(0.6) {
      let end = random.time(length / 2, length)
      let start = random.time(0, length / 2)
      later(start) { [unowned self] in
        clog(hosts.indices.flatMap { [(host, $0), ($0, host)] }, for: end - start)
      }
    }
  }

  private func slow(_ source: Int, _ target: Int, _ delay: UInt64, for length: UInt64) {
    network[source, target].delay = delay
    later(length) { [unowned self] in network[source, target].delay = 0 }
  }

  private func reset(_ source: Int, _ target: Int) {
    guard let process = hosts[source].process, !hosts[source].isPaused, source != target else {
      return
    }
    for connection in process.transport.connections(with: target) {
      process.transport.drop(connection)
    }
    runTurn(hosts[source])
  }

  private func pause(_ host: Int, for length: UInt64) {
    pause(hosts[host])
    later(length) { [unowned self] in resume(hosts[host]) }
  }

  // MARK: Disks

  /// The first of the writes is on its way to the disk when that gets stuck; the others wait, and
  /// go together.
  private func forsake(_ host: Host, _ writes: Int, _ stuck: UInt64, for length: UInt64) {
    perform(.isolated(.host(host.index)), for: length, nil)
    burst(host.index, writes)
    guard stuck > 0 else { return }
    later(Duration.microsecond) { [unowned host] in
      host.disk.stuckWrite = Interval(nanoseconds: stuck)
    }
  }

  private func setLatency(
    _ host: Host, _ shortest: UInt64, _ longest: UInt64, for length: UInt64
  ) {
    host.disk.latency = (Interval(nanoseconds: shortest), Interval(nanoseconds: longest))
    later(length) { [unowned host] in host.disk.recover() }
  }

  private func fill(_ host: Host, _ room: Int, for length: UInt64) {
    marks.hit(.diskFull)
    host.disk.fill(leaving: room)
    later(length) { [unowned host] in host.disk.quota = nil }
  }

  private func plantError(_ host: Host, _ access: DiskAccess, of prefix: String, after count: Int) {
    var left = count
    host.disk.fault = { asked, name in
      guard asked == access, name.hasPrefix(prefix) else { return nil }
      left -= 1
      return left == -1 ? 5 : nil
    }
  }
}
