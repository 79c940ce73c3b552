import RaftKV

/// What must happen once the faults are over: at first for a majority, whatever the others go on
/// doing, then for everybody.
///
/// What excuses a failure is decided by what was done to the cluster, never by how it went: no
/// majority ever loses its data (`World.mayLose`), and what stays outside the core either cannot be
/// heard, or is let lead.
struct Recovery {
  private let world: World
  private var core: [Int] = []
  /// Outside the core, and still able to lead it.
  private var others: [Int] = []
  /// One of them will have to hand its leadership over, should it get it.
  private var hasSickLeader = false

  init(_ world: World) { self.world = world }

  mutating func run() {
    heal()
    finishChanges()
    chooseCore()
    for host in world.hosts where !core.contains(host.index) { cripple(host) }
    world.reachable = core + others
    serve()
    if world.failure == nil { converge() }
    if world.failure == nil { rest() }
  }

  private var names: String { core.map { "n\($0 + 1)" }.joined(separator: " ") }

  /// No more faults; whoever is down, starts.
  private func heal() {
    world.tell(nil, "everything is healed")
    world.isRaging = false
    world.era += 1
    world.armed = []
    world.faults = []
    for host in world.hosts {
      host.disk.quota = nil
      host.disk.fault = { _, _ in nil }
      host.disk.accessesUntilCrash = nil
      host.disk.recover()
      while host.isPaused { world.resume(host) }
      // Whoever was about to stop, or dies at the end of its turn, need not be waited for.
      if host.disk.hasCrashed {
        world.kill(host, losingPower: host.crashPlan.losingPower)
      } else if host.process?.replica.isStopping == true {
        world.kill(host, losingPower: false)
      }
      for other in world.hosts where other.index > host.index {
        world.mendAll(host.index, other.index)
      }
      host.isHeldDown = false
      if host.process == nil { world.start(host) }
    }
  }

  /// What the operator has begun comes to an end first: a change that is appended later could make
  /// the core a minority, and it was not the cluster's idea.
  private func finishChanges() {
    world.isOperatorPaused = true
    world.run(until: world.now + 30 * Duration.second) {
      world.clients[0].operation?.isOut != true
        && world.hosts.allSatisfy { $0.process?.replica.load.membershipChanges ?? 0 == 0 }
    }
  }

  // MARK: Liveness

  /// A random majority of sound voters, in every configuration that is in force anywhere, and, if
  /// there is one, after learners have become voters too: one may be about to.
  private mutating func chooseCore() {
    var order = world.hosts.filter { !$0.isLost }.map(\.index)
    order.shuffle(using: &world.faultRandom)
    for host in order where !isCore(core, countingLearners: true) { core.append(host) }
    core.sort()
    guard !isCore(core) else { return }
    let nodes = world.hosts.map { "\($0.name) is \($0.promise.node), lost: \($0.isLost)" }
    let voters = world.configurationsInForce.map { "\($0.voters)" }
    world.fail(
      .liveness,
      "the faults left no majority of sound disks: \(nodes.joined(separator: "; ")); voters are "
        + voters.joined(separator: " or "))
  }

  private func isCore(_ hosts: [Int], countingLearners: Bool = false) -> Bool {
    guard !hosts.isEmpty else { return false }
    let nodes = hosts.map { world.hosts[$0].promise.node }
    return world.configurationsInForce.allSatisfy {
      World.isMajority(nodes, of: $0.voters)
        && (!countingLearners || World.isMajority(nodes, of: $0.members.map(\.id)))
    }
  }

  /// What stays broken.
  private mutating func cripple(_ host: Host) {
    guard !world.swarm.isCalm else { return others.append(host.index) }
    let kind = world.faultRandom.below(9)
    world.tell(host, "stays outside the core \(names), kind \(kind)")
    switch kind {
    case 0:
      host.isHeldDown = true
      world.kill(host, losingPower: false)
    case 1:
      for member in core {
        world.cut(host.index, member)
        world.cut(member, host.index)
      }
    case 2: for member in core { world.cut(host.index, member) }
    case 3: for member in core { world.cut(member, host.index) }
    case 4: world.pause(host)
    case 5:
      // It may lead until the first write shows that its disk hangs.
      host.disk.latency = (Interval.seconds(1000), Interval.seconds(1000))
      hasSickLeader = true
      others.append(host.index)
    case 6:
      // It may lead until its disk is full, and then hands over.
      host.disk.fill(leaving: 0)
      hasSickLeader = true
      others.append(host.index)
    case 7:
      // It sees one of the core and nobody else. Should the two be a majority, then it may lead
      // them, and the rest must wait; clients reach it.
      for other in world.hosts where other !== host && other.index != core[0] {
        world.cut(host.index, other.index)
        world.cut(other.index, host.index)
      }
      others.append(host.index)
    default: others.append(host.index)
    }
  }

  /// Ten of the longest election timeouts of the slowest clock for a leader; then work is done.
  private func serve() {
    world.isProbing = true
    let electionTimeout = world.swarm.parameters.electionTimeout.nanoseconds
    let limit = electionTimeout * 2 * 10 * 10 / 9
    guard world.run(until: world.now + limit, { hasLeader }) else {
      return world.fail(.liveness, "no leader among \(names) in time")
    }
    let before = completed
    let term = highestTerm
    let goal = 100
    // Nothing commits before a majority has caught up.
    let isDone = runWhileCatchingUp(core) {
      completed.writes - before.writes >= goal && completed.reads - before.reads >= goal
    }
    guard world.failure == nil else { return }
    guard isDone else {
      return world.fail(
        .liveness,
        "clients of \(names) got \(completed.writes - before.writes) writes and "
          + "\(completed.reads - before.reads) reads done in 120 s")
    }
    // A sick leader may ask those first that campaign in vain, and lead again after each of them.
    let outside = world.hosts.count - core.count
    let terms = hasSickLeader ? 2 * outside + 1 : 3
    if highestTerm.rawValue > term.rawValue + UInt64(max(3, terms)) {
      world.fail(.liveness, "\(names) went from term \(term) to \(highestTerm) in peace")
    }
  }

  private var completed: (writes: Int, reads: Int) {
    world.clients.reduce((0, 0)) { ($0.0 + $1.completed.writes, $0.1 + $1.completed.reads) }
  }

  private var highestTerm: Term {
    core.compactMap { world.hosts[$0].process?.replica.raft.currentTerm }.max() ?? .zero
  }

  private var hasLeader: Bool {
    (core + others).contains { host in
      guard let process = world.hosts[host].process else { return false }
      // Its first commit may have to wait for a snapshot, in the smallest of chunks.
      return process.replica.raft.role == .leader
    }
  }

  // MARK: Convergence

  private func converge() {
    heal()
    world.reachable = Array(world.hosts.indices)
    world.isProbing = false
    world.isQuiet = true
    world.isOperatorPaused = false
    world.queue.schedule(.clientStep(0), at: world.now)
    for host in world.hosts { world.bringBack(host) }
    if runWhileCatchingUp(Array(world.hosts.indices), { areAllEqual }) { return }
    guard world.failure == nil else { return }
    let states = world.hosts.map { host in
      guard let process = host.process else { return "\(host.name) is down" }
      let raft = process.replica.raft.commitIndex
      return "\(host.name) applied \(process.replica.appliedIndex) of \(raft)"
    }
    world.fail(.convergence, (states + wrongAddresses).joined(separator: ", "))
  }

  /// Who looks for whom in the wrong place, as far as it knows the other's incarnation at all.
  private var wrongAddresses: [String] {
    world.hosts.flatMap { host in
      world.hosts.compactMap { other in
        let configuration = host.process?.replica.raft.configuration
        guard let member = configuration?.member(other.promise.node),
          member.raftAddress != other.raftAddress
        else { return nil }
        return "\(host.name) looks for \(other.raftAddress) at \(member.raftAddress)"
      }
    }
  }

  /// Returns whether it came true within two minutes, or within two more for as long as each leave
  /// less to be applied: one entry at a time, through a queue of one, is slow.
  private func runWhileCatchingUp(_ hosts: [Int], _ isDone: () -> Bool) -> Bool {
    var left: Int
    repeat {
      left = lag(of: hosts)
      if world.run(until: world.now + 120 * Duration.second, isDone) { return true }
    } while lag(of: hosts) < left && world.failure == nil
    return false
  }

  /// Committed entries that have not been applied yet, all these nodes taken together.
  private func lag(of hosts: [Int]) -> Int {
    let newest = LogIndex(UInt64(world.checker.committed.count))
    return hosts.reduce(0) {
      $0 + (newest - (world.hosts[$1].process?.replica.appliedIndex ?? .zero))
    }
  }

  private var areAllEqual: Bool {
    guard world.areAllVoters else { return false }
    let newest = LogIndex(UInt64(world.checker.committed.count))
    return world.hosts.allSatisfy { host in
      guard let process = host.process else { return false }
      return process.replica.appliedIndex == newest && process.replica.raft.lastIndex == newest
    }
  }

  /// A healthy cluster that nobody asks for anything keeps its leader, and nothing waits in it.
  private func rest() {
    world.run(until: world.now + 10 * Duration.second) { world.areMovesKnown }
    // What a faulty wire held back has come by then: an old TimeoutNow is no breach of the peace.
    world.run(until: max(world.now, world.network.lastLateArrival) + 2 * Duration.second)
    let term = world.hosts.compactMap { $0.process?.replica.raft.currentTerm }.max()
    let quiet = 3 * max(Duration.second, world.swarm.parameters.electionTimeout.nanoseconds)
    world.run(until: max(world.now + quiet, 60 * Duration.second))
    guard world.failure == nil else { return }
    if world.hosts.compactMap({ $0.process?.replica.raft.currentTerm }).max() != term {
      return world.fail(.calm, "an election in a healthy cluster at rest")
    }
    // Between two turns there may be a message or two.
    let isAtRest = world.run(until: world.now + 2 * Duration.second) {
      world.hosts.allSatisfy { $0.process?.replica.load.waiting == nil }
    }
    guard !isAtRest else {
      world.checkFitness()
      return checkReadiness()
    }
    for host in world.hosts {
      if let waiting = host.process?.replica.load.waiting {
        world.fail(.bounds, "\(host.name) is at rest, and \(waiting) still waits")
      }
    }
  }

  /// And so is who does not hear its leader for a while, and misses nothing by it.
  private func checkReadiness() {
    let timeout = world.swarm.parameters.electionTimeout.nanoseconds
    if let leader = world.currentLeader, world.hosts.count > 1 {
      let other = (leader + 1) % world.hosts.count
      world.clog(leader, other)
      world.run(until: world.now + 3 * timeout)
      world.unclog(leader, other)
    }
    let isReady = world.run(until: world.now + 20 * timeout) { unready.isEmpty }
    guard !isReady, world.failure == nil else { return }
    world.fail(.convergence, "at rest, and not ready: \(unready.joined(separator: "; "))")
  }

  private var unready: [String] {
    world.hosts.compactMap { host in
      guard let replica = host.process?.replica else { return "\(host.name) is down" }
      guard case .failure(let failure) = replica.readiness(.leaseBound) else { return nil }
      return "\(host.name): \(failure.message)"
    }
  }
}

extension World {
  var areAllVoters: Bool { !isOperatorBusy && checker.configuration.voterCount == hosts.count }
}
