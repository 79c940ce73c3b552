import RaftKV

/// One seed's storm and the calm after it.
final class RaftSimulation {
  let harness: RaftHarness
  private var random: Random
  private let steps: Int
  private let count: Int
  /// In percent: how often a delivery is lost, doubled, or out of turn.
  private let loss: Int
  private let duplication: Int
  private let reordering: Int
  /// In a thousand steps.
  private let crashes: Int
  private let changes: Int
  private let cuts: Int
  private let snapshots: Int
  /// Links that swallow everything, as (from, to).
  private var cutLinks: [(Int, Int)] = []
  private var commands = 0

  init(seed: UInt64, isTracing: Bool) {
    random = Random(seed: seed)
    var parameters = Parameters()
    parameters.snapshotChunkBytes = 10
    parameters.maximumAppendBytes = [8, 100, 1 << 20].randomElement(using: &random)!
    parameters.windowMessages = Int.random(in: 1...8, using: &random)
    parameters.learnerPatience = .seconds(2)
    harness = RaftHarness(parameters: parameters, seed: random.next() >> 1)
    harness.isTracing = isTracing
    count = Int.random(in: 3...5, using: &random)
    steps = Int.random(in: 300...2000, using: &random)
    loss = [0, 0, 5, 20].randomElement(using: &random)!
    duplication = [0, 0, 10].randomElement(using: &random)!
    reordering = [0, 0, 30, 100].randomElement(using: &random)!
    crashes = [0, 2, 10].randomElement(using: &random)!
    changes = [0, 0, 10].randomElement(using: &random)!
    cuts = [0, 4, 10].randomElement(using: &random)!
    snapshots = [0, 10, 30].randomElement(using: &random)!
    harness.start(voters: Int.random(in: max(1, count - 2)...count, using: &random), count: count)
    let hasSlowDisks = Bool.random(using: &random)
    let hasDrift = Bool.random(using: &random)
    for node in harness.nodes {
      node.isDiskSlow = hasSlowDisks && Bool.random(using: &random)
      if hasDrift { driftClock(of: node) }
    }
  }

  /// Clocks run between 90 and 110 percent of true time; that is before any event depends on them.
  private func driftClock(of node: Node) {
    node.clockPercent = UInt64.random(in: 90...110, using: &random)
    let number = Int(node.id.rawValue)
    harness.crash(number)
    harness.restart(number)
  }

  func run() {
    for _ in 0..<steps where harness.failures.isEmpty { step() }
    guard harness.failures.isEmpty else { return }
    calm()
  }

  private func chance(_ perThousand: Int) -> Bool {
    perThousand > 0 && Int.random(in: 0..<1000, using: &random) < perThousand
  }

  private var anyNode: Int { Int.random(in: 1...count, using: &random) }

  private func step() {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<60: deliverOne()
    case 60..<75: tick()
    case 75..<88: persistOne(anyNode)
    case 88..<94: proposeSomewhere()
    case 94..<96: harness.read(leaderOrAny)
    default: break
    }
    if chance(crashes) { crashOrRestart() }
    if chance(cuts) { cutOrHeal() }
    if chance(changes) { changeSomething() }
    if chance(snapshots) { harness.takeSnapshot(anyNode) }
    if chance(cuts) {
      harness.transfer(leaderOrAny, to: Bool.random(using: &random) ? anyNode : nil)
    }
    if chance(cuts / 2) {
      let health: Raft.StorageHealth = [.healthy, .healthy, .full, .hung]
        .randomElement(using: &random)!
      harness.setStorage(anyNode, health)
    }
  }

  private var leaderOrAny: Int {
    let leaders = harness.nodes.filter { $0.isUp && $0.raft.role == .leader }
    return leaders.randomElement(using: &random).map { Int($0.id.rawValue) } ?? anyNode
  }

  private func deliverOne() {
    guard !harness.packets.isEmpty else { return tick() }
    var position = 0
    if Int.random(in: 0..<100, using: &random) < reordering {
      position = Int.random(in: 0..<harness.packets.count, using: &random)
    }
    let packet = harness.packets[position]
    if Int.random(in: 0..<100, using: &random) >= duplication {
      harness.packets.remove(at: position)
    }
    let from = Int(packet.envelope.from.rawValue)
    let to = Int(packet.envelope.to.rawValue)
    if Int.random(in: 0..<100, using: &random) < loss { return }
    if cutLinks.contains(where: { $0 == (from, to) }) { return }
    harness.deliver(packet)
  }

  private func tick() {
    let step = random.interval(from: .zero, to: .milliseconds(40))
    harness.time = Interval(nanoseconds: harness.time.nanoseconds + step.nanoseconds)
    wakeDue()
  }

  private func wakeDue() {
    for node in harness.nodes where node.isUp && node.raft.deadline <= harness.now(at: node) {
      harness.deadlinePassed(Int(node.id.rawValue))
    }
  }

  private func persistOne(_ number: Int) {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: harness.persistHardState(number)
    case 1, 2: harness.persistLog(number)
    default: harness.persistSnapshot(number, keepingTail: Int.random(in: 0...20, using: &random))
    }
  }

  private func proposeSomewhere() {
    commands += 1
    harness.propose(leaderOrAny, "c\(commands)")
  }

  private func crashOrRestart() {
    let number = anyNode
    guard harness.node(number).isUp else { return harness.restart(number) }
    let node = harness.node(number)
    let edits = node.writes.reduce(0) { $0 + $1.edits.count }
    harness.crash(
      number, keeping: Int.random(in: 0...edits, using: &random),
      hardState: Bool.random(using: &random))
    // Sometimes the others find its port closed.
    for other in harness.nodes where other.isUp && Bool.random(using: &random) {
      harness.findDead(Int(other.id.rawValue), number)
    }
    if Bool.random(using: &random) { harness.restart(number) }
  }

  private func cutOrHeal() {
    guard !cutLinks.isEmpty, Bool.random(using: &random) else {
      let (from, to) = (anyNode, anyNode)
      cutLinks.append((from, to))
      if Bool.random(using: &random) { cutLinks.append((to, from)) }
      return
    }
    cutLinks.removeAll()
  }

  private func changeSomething() {
    let leader = leaderOrAny
    let target = anyNode
    let configuration = harness.node(leader).raft.configuration
    let id = NodeID(UInt64(target))
    if !configuration.contains(id) {
      harness.change(leader, .add(RaftHarness.member(target, role: .learner)))
    } else {
      harness.change(leader, Bool.random(using: &random) ? .remove(id) : .promote(id))
    }
  }

  // MARK: The calm

  /// Faults end; every link and disk works. Within ten seconds one leader must emerge, a command
  /// must commit, and every member must have applied the same.
  private func calm() {
    cutLinks.removeAll()
    for node in harness.nodes {
      let number = Int(node.id.rawValue)
      harness.setStorage(number, .healthy)
      harness.restart(number)
    }
    for one in 1...count {
      for other in 1...count where one < other {
        harness.disconnect(one, other)
        harness.connect(one, other)
      }
    }
    let end = Interval(nanoseconds: harness.time.nanoseconds + Interval.seconds(10).nanoseconds)
    var isProposed = false
    while harness.time < end, harness.failures.isEmpty {
      quiesce()
      if isProposed, hasConverged { return }
      if let leader = settledLeader, !isProposed {
        isProposed = harness.propose(leader, "last") != nil
      }
      harness.time = Interval(
        nanoseconds: harness.time.nanoseconds + Interval.milliseconds(5).nanoseconds)
      wakeDue()
    }
    if harness.failures.isEmpty { harness.fail("the healed cluster does not converge") }
  }

  private func quiesce() {
    for _ in 0..<500 {
      let packets = harness.packets
      harness.packets.removeAll()
      for packet in packets { harness.deliver(packet) }
      for node in harness.nodes where node.isUp {
        let number = Int(node.id.rawValue)
        if node.hardStateInFlight != nil { harness.persistHardState(number) }
        if !node.writes.isEmpty { harness.persistLog(number) }
        if harness.hasDiskWork(node) { harness.persistSnapshot(number) }
      }
      if harness.packets.isEmpty, !harness.nodes.contains(where: harness.hasDiskWork) { return }
    }
    harness.fail("messages and writes never end")
  }

  private var settledLeader: Int? {
    harness.nodes.first { $0.raft.role == .leader && $0.raft.hasCommittedInTerm }
      .map { Int($0.id.rawValue) }
  }

  private var hasConverged: Bool {
    guard let leader = harness.nodes.first(where: { $0.raft.role == .leader }),
      leader.applied == leader.raft.lastIndex,
      leader.raft.configurations.currentIndex <= leader.raft.commitIndex
    else { return false }
    return leader.raft.configuration.members.allSatisfy { member in
      let node = harness.node(Int(member.id.rawValue))
      return node.applied == leader.applied && node.appliedChain == leader.appliedChain
        && member.role == .voter
    }
  }
}
