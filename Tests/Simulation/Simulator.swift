import RaftKV

/// One seed, from the first start to the last comparison:
///
/// 1. A cluster is made, node by node, as an operator would make it.
/// 2. Safety: faults from a schedule made up front, under clients; every invariant after every event.
/// 3. Liveness: a random majority is healed, whatever the others go on doing; it must lead and serve.
/// 4. Convergence: everything is healed, and all nodes end with the same state.
package struct Simulator {
  package struct Outcome: Sendable {
    package var seed: UInt64
    package var trace: UInt64
    package var events: Int
    package var virtualTime: UInt64
    package var failure: Violation?
    package var marks: Marks
    package var operations: Int

    package var virtualSeconds: Double { Double(virtualTime) / 1e9 }
  }

  private let world: World
  private let schedule: Schedule
  /// Told all faults that the seed has planned, in words, before the first of them: a schedule names them
  /// by their position here.
  package var didPlan: (([String]) -> Void)?

  package init(seed: UInt64, schedule: Schedule = Schedule()) {
    self.schedule = schedule
    world = World(seed: seed, schedule: schedule)
  }

  package var hostCount: Int { world.swarm.hostCount }
  package var clientCount: Int { world.swarm.clientCount }
  /// How long faults are let loose, in nanoseconds.
  package var rageTime: UInt64 { schedule.rage ?? world.swarm.safetyTime }

  /// Where to tell of the run while it goes on: every event, or those that make its story.
  package func listen(
    trace: ((String) -> Void)? = nil, timeline: ((String) -> Void)? = nil
  ) {
    world.trace.sink = trace
    world.timeline.sink = timeline
  }

  package func run() -> Outcome {
    Marks.reset()
    makeCluster()
    if world.failure == nil { rage() }
    if world.failure == nil { healCore() }
    if world.failure == nil { converge() }
    world.marks.collect()
    return Outcome(
      seed: world.seed, trace: world.trace.hash, events: world.eventCount, virtualTime: world.now,
      failure: world.failure, marks: world.marks,
      operations: world.clients.reduce(0) { $0 + $1.completed.writes + $1.completed.reads })
  }

  // MARK: 1

  private func makeCluster() {
    for host in world.hosts { world.start(host) }
    world.reachable = [0]
    world.ask(world.hosts.dropFirst().map { .join(host: $0.index) })
    let isMade = world.run(until: 120 * Duration.second) { areAllVoters }
    if !isMade { world.fail(.liveness, "no cluster of \(world.hosts.count) came to be") }
    world.reachable = Array(world.hosts.indices)
  }

  private var areAllVoters: Bool {
    world.clients[0].errands.isEmpty && world.checker.configuration.voterCount == world.hosts.count
  }

  // MARK: 2

  private func rage() {
    let start = world.now
    var planner = FaultPlanner(world.swarm, random: world.faultRandom)
    let plan = planner.plan(from: start)
    didPlan?(plan.map { "\(Trace.seconds($0.time)) \($0.fault.words)" })
    world.faults = schedule.faults(of: plan)
    for (index, fault) in world.faults.enumerated() {
      world.queue.schedule(.fault(index), at: fault.time)
    }
    for client in world.clients.indices.dropFirst() {
      world.queue.schedule(.clientStep(client), at: start)
    }
    world.run(until: start + rageTime)
    if world.swarm.isCalm, world.checker.electionCount > 1, world.failure == nil {
      world.fail(.calm, "\(world.checker.electionCount) elections on a calm day")
    }
  }

  // MARK: 3

  private func healCore() {
    heal()
    let core = chooseCore()
    for host in world.hosts where !core.contains(host.index) { cripple(host, core) }
    world.reachable = core
    let electionTimeout = world.swarm.parameters.electionTimeout.nanoseconds
    let limit = electionTimeout * 2 * 10 * 10 / 9
    guard
      world.run(until: world.now + limit, { hasLeader(among: core) })
    else { return world.fail(.liveness, "no leader among \(names(core)) in time") }
    let before = operationCount
    let enough = before + 20
    guard world.run(until: world.now + 120 * Duration.second, { operationCount >= enough })
    else {
      return world.fail(
        .liveness, "clients of \(names(core)) got \(operationCount - before) answers in 120 s")
    }
  }

  private var operationCount: Int {
    world.clients.reduce(0) { $0 + $1.completed.writes + $1.completed.reads }
  }

  private func names(_ hosts: [Int]) -> String {
    hosts.map { "n\($0 + 1)" }.joined(separator: " ")
  }

  /// No more faults; whoever is down, starts.
  private func heal() {
    world.faults = []
    for host in world.hosts {
      host.disk.quota = nil
      host.disk.fault = { _, _ in nil }
      host.disk.accessesUntilCrash = nil
      host.disk.latency = (Interval.microseconds(50), Interval.microseconds(400))
      while host.isPaused { world.resume(host) }
      for other in world.hosts where other.index > host.index {
        world.mendAll(host.index, other.index)
      }
      host.isHeldDown = false
      if host.process == nil { world.start(host) }
    }
  }

  /// A random majority of the voters, in every configuration that any of them still has in force.
  private func chooseCore() -> [Int] {
    var order = Array(world.hosts.indices)
    order.shuffle(using: &world.faultRandom)
    var core: [Int] = []
    for host in order where !isMajorityEverywhere(core) { core.append(host) }
    return core.sorted()
  }

  private func isMajorityEverywhere(_ core: [Int]) -> Bool {
    guard !core.isEmpty else { return false }
    let ids = core.compactMap { world.hosts[$0].process?.replica.raft.id }
    var configurations = [world.checker.configuration]
    for host in world.hosts {
      if let process = host.process { configurations.append(process.replica.raft.configuration) }
    }
    return configurations.allSatisfy { configuration in
      let voters = configuration.voters
      return voters.isEmpty
        || voters.reduce(0) { $0 + (ids.contains($1) ? 1 : 0) } > voters.count / 2
    }
  }

  /// What stays broken: down, cut off in one direction or both, or standing still.
  private func cripple(_ host: Host, _ core: [Int]) {
    guard !world.swarm.isCalm else { return }
    switch world.faultRandom.below(5) {
    case 0:
      host.isHeldDown = true
      world.kill(host, losingPower: false)
    case 1: for other in core { world.cut(host.index, other) }
    case 2: for other in core { world.cut(other, host.index) }
    case 3: world.pause(host)
    default: break
    }
  }

  private func hasLeader(among core: [Int]) -> Bool {
    core.contains { host in
      guard let process = world.hosts[host].process else { return false }
      return process.replica.raft.role == .leader && process.replica.raft.hasCommittedInTerm
    }
  }

  // MARK: 4

  private func converge() {
    heal()
    world.reachable = Array(world.hosts.indices)
    world.isQuiet = true
    let hasConverged = world.run(until: world.now + 120 * Duration.second) { areAllEqual }
    guard !hasConverged, world.failure == nil else { return }
    let states = world.hosts.map { host in
      guard let process = host.process else { return "\(host.name) is down" }
      let raft = process.replica.raft.commitIndex
      return "\(host.name) applied \(process.replica.appliedIndex) of \(raft)"
    }
    world.fail(.convergence, states.joined(separator: ", "))
  }

  private var areAllEqual: Bool {
    guard areAllVoters else { return false }
    let newest = LogIndex(UInt64(world.checker.committed.count))
    return world.hosts.allSatisfy { host in
      guard let process = host.process else { return false }
      return process.replica.appliedIndex == newest && process.replica.raft.lastIndex == newest
    }
  }
}
