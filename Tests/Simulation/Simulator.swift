import RaftKV

/// One seed, from the first start to the last comparison:
///
/// 1. A cluster is made, node by node, as an operator would make it.
/// 2. Safety: faults from a schedule made up front, under clients; every invariant after every
///    event.
/// 3. Liveness: a random majority is healed, whatever the others go on doing; it must lead and
///    serve.
/// 4. Convergence: everything is healed, and all nodes end with the same state, and at rest.
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
  /// Told all faults that the seed has planned, in words, before the first of them: a schedule
  /// names them by their position here.
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
    if world.failure == nil {
      var recovery = Recovery(world)
      recovery.run()
    }
    world.marks.collect()
    defer { world.end() }
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
    let isMade = world.run(until: 120 * Duration.second) { world.areAllVoters }
    if !isMade { world.fail(.liveness, "no cluster of \(world.hosts.count) came to be") }
    world.reachable = Array(world.hosts.indices)
  }

  // MARK: 2

  private func rage() {
    let start = world.now
    world.isRaging = true
    var planner = FaultPlanner(world.swarm, random: world.faultRandom.fork())
    let plan = planner.plan(from: start)
    didPlan?(plan.map { "\(Trace.seconds($0.time)) \($0.words)" })
    world.faults = schedule.faults(of: plan)
    for (index, fault) in world.faults.enumerated() {
      world.queue.schedule(.fault(index, nil), at: fault.time)
    }
    for client in world.clients.indices.dropFirst() {
      world.queue.schedule(.clientStep(client), at: start)
    }
    world.run(until: start + rageTime)
    if world.swarm.isCalm, world.checker.electionCount > 1 {
      world.fail(.calm, "\(world.checker.electionCount) elections on a calm day")
    }
  }
}
