import RaftKV

/// Makes the whole schedule up front, so that it can be shown, and cut down. Whom a fault meets may
/// be decided when it strikes; by what happens then, not by chance.
struct FaultPlanner {
  let swarm: Swarm
  var random: Random
  private var faults: [PlannedFault] = []
  let hostCount: Int

  init(_ swarm: Swarm, random: Random) {
    self.swarm = swarm
    self.random = random
    hostCount = swarm.hostCount
  }

  mutating func plan(from start: UInt64) -> [PlannedFault] {
    let kinds = Swarm.Feature.allCases.filter { swarm.has($0) && $0.isEvent && isPossible($0) }
    guard !kinds.isEmpty else { return [] }
    for _ in 0..<swarm.faultCount {
      let time = start + random.time(0, swarm.safetyTime)
      let trigger = swarm.has(.triggers) && random.coin(0.4) ? random.pick(Trigger.allCases) : nil
      let first = faults.count
      let kind = random.pick(kinds)
      add(kind, at: time)
      for index in first..<faults.count where !kind.isStory { faults[index].trigger = trigger }
    }
    return faults.sorted { $0.time < $1.time }
  }

  private func isPossible(_ feature: Swarm.Feature) -> Bool {
    // A stream neither doubles nor repeats anything.
    feature != .echoes || swarm.has(.datagrams)
  }

  mutating func add(_ fault: Fault, at time: UInt64) {
    faults.append(PlannedFault(time: time, trigger: nil, fault: fault))
  }

  mutating func add(_ fault: Fault, atNext trigger: Trigger, after time: UInt64) {
    faults.append(PlannedFault(time: time, trigger: trigger, isPrompt: true, fault: fault))
  }

  /// The leader as often as not: what happens to it matters more.
  mutating func victim() -> Victim {
    switch random.below(10) {
    case 0...2: leader()
    case 3...4: follower()
    case 5: .subject
    default: .host(random.below(hostCount))
    }
  }

  mutating func leader() -> Victim { .leader(orHost: random.below(hostCount)) }

  mutating func follower() -> Victim { .follower(random.below(hostCount)) }

  /// From a blink to several election timeouts.
  mutating func length() -> UInt64 {
    random.logarithmic(10 * Duration.millisecond, 15 * Duration.second)
  }

  mutating func downTime() -> UInt64 {
    random.logarithmic(Duration.millisecond, 10 * Duration.second)
  }

  mutating func losesPower() -> Bool { swarm.has(.powerLoss) && random.coin(0.5) }

  private mutating func add(_ feature: Swarm.Feature, at time: UInt64) {
    switch feature {
    case .slowLinks:
      let delay = random.logarithmic(Duration.millisecond, 400 * Duration.millisecond)
      add(.slowLink(victim(), victim(), delay: delay, length()), at: time)
    case .clogs: add(.clog(victim(), victim(), length()), at: time)
    case .swizzles: add(.swizzle(random.next(), length()), at: time)
    case .storms:
      let (loss, duplication) = (random.below(500), random.below(300))
      add(.storm(loss: loss, duplication: duplication, length()), at: time)
    case .filters:
      // A few kinds, or all but a few.
      let kinds = random.next() & random.next() & random.next()
      let loss = random.pick([0, 0, 300, 900, 1000])
      let delay = random.logarithmic(20 * Duration.millisecond, 5 * Duration.second)
      add(.filter(kinds: kinds, loss: loss, delay: delay, length()), at: time)
    case .cuts: add(.cut(.pair(victim(), victim()), length()), at: time)
    case .oneWayCuts: addOneWayCut(at: time)
    case .partitions: addPartition(at: time)
    case .isolations: add(.cut(.isolated(victim()), length()), at: time)
    case .resets:
      add(
        random.coin(0.7) ? .reset(victim(), victim()) : .resetAll(victim()), at: time)
    case .pauses: add(.pause(victim(), length()), at: time)
    case .shortPauses:
      let short = random.logarithmic(Duration.millisecond, 300 * Duration.millisecond)
      add(.pause(victim(), short), at: time)
    case .suspends: add(.suspend(victim(), length()), at: time)
    case .clockSteps:
      add(.clockRate(victim(), 900 + random.next() % 201), at: time)
      add(.wallClockStep(victim(), random.next() % 7_200_000), at: time)
    default: addEnd(feature, at: time)
    }
  }

  /// What stops a process, hurts its disk, or is an operator's doing.
  private mutating func addEnd(_ feature: Swarm.Feature, at time: UInt64) {
    switch feature {
    case .kills: addKill(victim(), at: time)
    case .pairKills:
      addKill(victim(), at: time)
      addKill(victim(), at: time + random.time(0, 3) * random.time(0, 100 * Duration.millisecond))
    case .massCrash:
      add(.killAll(losingPower: losesPower(), downTime: downTime()), at: time)
    case .crashAtDisk:
      let accesses = Int(random.logarithmic(1, 100))
      add(
        .crashAtDisk(victim(), accesses: accesses, losingPower: losesPower(), downTime: downTime()),
        at: time)
    case .slowDisk:
      let longest = random.logarithmic(Duration.millisecond, 200 * Duration.millisecond)
      add(.slowDisk(victim(), longest: longest, length()), at: time)
    case .hungDisk: add(.hungDisk(victim(), length()), at: time)
    case .fullDisk:
      let room = random.pick([0, 0, 4096, 65536])
      add(.fullDisk(victim(), room: room, length()), at: time)
    case .diskErrors:
      let access = random.pick([DiskAccess.write, .write, .sync, .read, .rename, .syncDirectory])
      let prefix = random.pick(["", "", SimulatedDisk.segmentPrefix, "snapshot-", "snapshot-"])
      let count = random.below(prefix == "snapshot-" ? 3 : 20)
      add(.diskError(victim(), access, of: prefix, after: count), at: time)
    case .rot: add(.rot(victim(), random.next(), downTime: downTime()), at: time)
    case .wipes: add(.wipe(victim(), joinsAtOnce: random.coin(0.5)), at: time)
    case .moves: add(.move(victim(), downTime: downTime()), at: time)
    case .removals:
      let away = random.pick([0, random.logarithmic(Duration.millisecond, 20 * Duration.second)])
      add(.remove(victim(), awayTime: away), at: time)
    case .stops: add(.stop(victim(), downTime: downTime()), at: time)
    case .transfers: add(.transfer, at: time)
    default: addStory(feature, at: time)
    }
  }

  private mutating func addKill(_ victim: Victim, at time: UInt64) {
    add(.kill(victim, losingPower: losesPower(), downTime: downTime()), at: time)
  }

  private mutating func addOneWayCut(at time: UInt64) {
    let victim = victim()
    let cut: Cut =
      switch random.below(3) {
      case 0: .oneWay(victim, self.victim())
      case 1: .deaf(victim)
      default: .mute(victim)
      }
    add(.cut(cut, length()), at: time)
  }

  private mutating func addPartition(at time: UInt64) {
    let victim = victim()
    let cut: Cut =
      switch random.below(4) {
      case 0: .halves(random.next())
      case 1: .bridge(random.next(), over: victim)
      case 2: .ring
      default: .minority(victim, others: random.below(max(1, (hostCount - 1) / 2)))
      }
    add(.cut(cut, length()), at: time)
  }
}
