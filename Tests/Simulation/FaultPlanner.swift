import RaftKV

/// Makes the whole schedule up front, so that it can be shown, and cut down. Whom a fault meets may
/// be decided when it strikes; by what happens then, not by chance.
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

  private mutating func add(_ fault: Fault, at time: UInt64) {
    faults.append(PlannedFault(time: time, trigger: nil, fault: fault))
  }

  private mutating func add(_ fault: Fault, atNext trigger: Trigger, after time: UInt64) {
    faults.append(PlannedFault(time: time, trigger: trigger, isPrompt: true, fault: fault))
  }

  /// The leader as often as not: what happens to it matters more.
  private mutating func victim() -> Victim {
    switch random.below(10) {
    case 0...2: .leader(orHost: random.below(hostCount))
    case 3...4: .follower(random.below(hostCount))
    case 5: .subject
    default: .host(random.below(hostCount))
    }
  }

  /// From a blink to several election timeouts.
  private mutating func length() -> UInt64 {
    random.logarithmic(10 * Duration.millisecond, 15 * Duration.second)
  }

  private mutating func downTime() -> UInt64 {
    random.logarithmic(Duration.millisecond, 10 * Duration.second)
  }

  private mutating func losesPower() -> Bool { swarm.has(.powerLoss) && random.coin(0.5) }

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

  /// Several faults in the one order in which some rule may break.
  private mutating func addStory(_ feature: Swarm.Feature, at time: UInt64) {
    let timeout = swarm.parameters.electionTimeout.nanoseconds
    switch feature {
    case .handOvers:
      // What asks the successor to campaign arrives when the hand-over has just been given up, and
      // with it what was written since: the successor has none of it yet (E4).
      let length = random.time(timeout, timeout * 2)
      add(.clog(.subject, .other, length), atNext: .transfer, after: time)
      add(.transfer, at: time)
    case .echoes:
      let wait = random.logarithmic(Duration.millisecond, 10 * Duration.second)
      if random.coin(0.5) { return add(.echo(victim(), within: wait), at: time) }
      let trigger = random.pick([Trigger.transfer, .deposition, .election, .snapshotInstalled])
      let victim = trigger == .transfer ? Victim.other : .subject
      add(.echo(victim, within: wait), atNext: trigger, after: time)
    case .forsaking:
      // A leader without followers takes many writes, and most of them wait behind one that its
      // disk does not get done with; meanwhile the others go on without it (B10, F5).
      let length = random.time(timeout * 3, timeout * 20)
      let stuck = random.coin(0.7) ? length + random.time(0, timeout * 10) : 0
      let writes = Int(random.logarithmic(10, 400))
      add(
        .forsake(.subject, writes: writes, stuck: stuck, length), atNext: .commit, after: time)
      // They may go on so far that all they have for it is a snapshot, shorter than its own log.
      if random.coin(0.5) {
        add(.burst(.subject, writes: overSnapshot()), atNext: .election, after: time)
      }
    case .stranding:
      // Who has begun a term is alone in it, for the leader of the term before is back (A11).
      add(.strand(.subject, length()), atNext: .candidacy, after: time)
      add(.pause(.leader(orHost: random.below(hostCount)), timeout * 6), at: time)
    case .laggards: addLaggard(at: time)
    case .muffling:
      // What a follower acknowledges is not heard, and then it starts anew: it has more than its
      // leader knows of, and nothing has vouched for that since (B3, B4).
      let follower = Victim.follower(random.below(hostCount))
      let length = random.logarithmic(20 * Duration.millisecond, 5 * Duration.second)
      add(.cut(.mute(follower), length), at: time)
      let kill = Fault.kill(follower, losingPower: losesPower(), downTime: Duration.millisecond)
      add(kill, at: time + length - min(length / 4, 10 * Duration.millisecond))
    default: preconditionFailure("\(feature) is no event")
    }
  }

  private mutating func addKill(_ victim: Victim, at time: UInt64) {
    add(.kill(victim, losingPower: losesPower(), downTime: downTime()), at: time)
  }

  /// So many writes that a snapshot is due after them, where that is not too many.
  private mutating func overSnapshot() -> Int {
    guard swarm.has(.snapshots), swarm.snapshotEntries < 60 else { return random.below(40) }
    return swarm.snapshotEntries + random.below(swarm.snapshotEntries)
  }

  /// A follower's disk is behind with what it has received. When the log before that goes, the
  /// leader loses the connection, and with it what it knew to be under way: it sends a snapshot of
  /// what the follower is about to have, or of what comes just after. Should the log win, then the
  /// follower has the file before it has the state; that is when the leader dies, and another
  /// follower comes back from far behind.
  private mutating func addLaggard(at time: UInt64) {
    let number = random.below(hostCount)
    let leader = Victim.leader(orHost: random.below(hostCount))
    let follower = Victim.follower(number)
    addLag(of: follower, behind: leader, at: time)
    add(.cut(.isolated(.follower(number + 1)), length()), at: time)
    for _ in 0...random.below(4) {
      let silence = random.logarithmic(Duration.millisecond, 2 * Duration.second)
      add(.hangUp(leader, follower, silence), atNext: .snapshotTaken, after: time)
    }
    if random.coin(0.5) { addOvertaking(at: time) }
    // What it lost of the log comes after all, with the last of the snapshot.
    let wait = random.logarithmic(100 * Duration.microsecond, 100 * Duration.millisecond)
    add(.echo(.subject, within: wait), atNext: .snapshotReceived, after: time)
    let kill = Fault.kill(leader, losingPower: losesPower(), downTime: downTime())
    add(kill, atNext: .snapshotAhead, after: time)
  }

  /// Its whole disk is slow; or it is stuck with one write to the log, while its connection ends
  /// and the leader goes on.
  private mutating func addLag(of follower: Victim, behind leader: Victim, at time: UInt64) {
    if random.coin(0.5) {
      let longest = random.logarithmic(50 * Duration.millisecond, 3 * Duration.second)
      return add(.slowDisk(follower, longest: longest, length()), at: time)
    }
    let silence = random.logarithmic(10 * Duration.millisecond, 2 * Duration.second)
    let stuck = silence + random.logarithmic(10 * Duration.millisecond, 10 * Duration.second)
    add(.stuckWrite(follower, stuck), at: time)
    let wait = random.logarithmic(Duration.millisecond, 300 * Duration.millisecond)
    add(.hangUp(leader, follower, silence), atNext: .commit, after: time + wait)
    add(.burst(leader, writes: overSnapshot()), atNext: .commit, after: time + wait)
  }

  /// A snapshot takes so long on its way that there is another one by then.
  private mutating func addOvertaking(at time: UInt64) {
    let delay = random.logarithmic(5 * Duration.millisecond, 400 * Duration.millisecond)
    add(
      .slowLink(.subject, .other, delay: delay, length()), atNext: .snapshotSending, after: time)
    add(.burst(.subject, writes: overSnapshot()), atNext: .snapshotSending, after: time)
    let silence = random.logarithmic(Duration.millisecond, 300 * Duration.millisecond)
    let leader = Victim.leader(orHost: random.below(hostCount))
    let other = Victim.follower(random.below(hostCount))
    add(.hangUp(leader, other, silence), atNext: .snapshotTaken, after: time)
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
