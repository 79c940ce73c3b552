import RaftKV

extension FaultPlanner {
  /// Several faults in the one order in which some rule may break.
  mutating func addStory(_ feature: Swarm.Feature, at time: UInt64) {
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
      add(.pause(leader(), timeout * 6), at: time)
    case .laggards:
      if random.coin(0.2) { return addStarving(at: time) }
      addLaggard(at: time)
    case .muffling: addMuffling(at: time)
    case .lateRefusals: addLateRefusals(at: time)
    default: preconditionFailure("\(feature) is no event")
    }
  }

  /// What a follower acknowledges is not heard, and then it starts anew: it has more than its
  /// leader knows of, and nothing has vouched for that since (B3, B4). Meanwhile its leader may have
  /// gone on so far that it sends a snapshot of what stands in the middle of the follower's log;
  /// which that then must not drop the end of (F3). It has none of its own, for want of a sound disk.
  private mutating func addMuffling(at time: UInt64) {
    let follower = follower()
    let length = random.logarithmic(20 * Duration.millisecond, 5 * Duration.second)
    add(.cut(.mute(follower), length), at: time)
    let kill = Fault.kill(follower, losingPower: losesPower(), downTime: Duration.millisecond)
    add(kill, at: time + length - min(length / 4, 10 * Duration.millisecond))
    guard random.coin(0.5) else { return }
    let leader = leader()
    add(.diskError(follower, .write, of: "snapshot-", after: 0), at: time)
    add(.burst(leader, writes: overSnapshot()), at: time + random.time(0, length / 2))
    add(.burst(leader, writes: 1 + random.below(20)), at: time + random.time(length / 2, length))
  }

  /// The leader's process dies and is back at once. The others have looked for it meanwhile, and
  /// hear late that nobody was there. By then the new process may lead, and nothing that it says
  /// just then sets them right: its lease is worth what they make of the old news (C7).
  private mutating func addLateRefusals(at time: UInt64) {
    let timeout = swarm.parameters.electionTimeout.nanoseconds
    let downTime = random.time(timeout / 8, timeout / 2)
    let delay = min(random.time(timeout * 3 / 2, timeout * 5), 2900 * Duration.millisecond)
    add(.lateRefusals(leader(), delay: delay, downTime: downTime), at: time)
    add(.cut(.mute(leader()), timeout / 2), at: time + delay - random.time(0, timeout / 4))
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
    let leader = leader()
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

  /// A follower's disk is full and slow, so that what frees space takes its time; just then comes
  /// the snapshot of a leader that could not wait.
  private mutating func addStarving(at time: UInt64) {
    let follower = follower()
    let leader = leader()
    let length = random.time(5 * Duration.second, 30 * Duration.second)
    let longest = random.logarithmic(50 * Duration.millisecond, 3 * Duration.second)
    add(.fullDisk(follower, room: 0, length), at: time)
    add(.slowDisk(follower, longest: longest, length), at: time)
    for _ in 0..<4 {
      let next = time + random.time(0, length)
      add(.burst(leader, writes: overSnapshot()), at: next)
      let silence = random.logarithmic(Duration.millisecond, 2 * Duration.second)
      add(.hangUp(leader, follower, silence), atNext: .snapshotTaken, after: next)
    }
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
    let leader = leader()
    let other = follower()
    add(.hangUp(leader, other, silence), atNext: .snapshotTaken, after: time)
  }
}
