import Glibc

/// What is done to processes, disks and members while clients work. Everything here is drawn from
/// the seed; the storm ends at its deadline, and what it left behind `Cluster.heal` puts right.
struct Faults {
  private enum Kind: String {
    case kill, killLeader, killMajority, killAll, killWhileStarting, terminate, pause, pauseLeader
    case pauseMajority, failpoint
    // At most one of these in a round, for they take a node's data or membership.
    case fullDisk, damage, wipe, remove
  }

  let cluster: Cluster
  let deadline: UInt64
  private let failpoints: Failpoints
  private var random: Seeded
  private(set) var counts: [String: Int] = [:]

  private static let common: [(Kind, weight: Int)] = [
    (.kill, 4), (.killLeader, 5), (.killMajority, 2), (.killAll, 2), (.killWhileStarting, 3),
    (.terminate, 2), (.pause, 2), (.pauseLeader, 3), (.pauseMajority, 1), (.failpoint, 25),
  ]
  private static let grave: [Kind] = [.fullDisk, .damage, .wipe, .remove, .remove]

  init(_ cluster: Cluster, until deadline: UInt64, seed: UInt64, _ failpoints: Failpoints) {
    self.failpoints = failpoints
    self.cluster = cluster
    self.deadline = deadline
    random = Seeded(seed)
  }

  mutating func run() {
    let grave = Self.grave.filter { $0 != .fullDisk || !cluster.options.isMild }
    var graveFault: Kind? = random.coin(0.6) ? grave.randomElement(using: &random)! : nil
    while isOn {
      cluster.wait(random.between(0.1, 1))
      if let kind = graveFault, random.coin(0.3) {
        graveFault = nil
        perform(kind)
      } else {
        perform(draw())
      }
    }
  }

  private var isOn: Bool { Clock.now < deadline && !Interruption.isRequested }

  private mutating func draw() -> Kind {
    let kinds = Self.common.filter { $0.0 != .failpoint || cluster.options.hasFailpoints }
    var place = random.below(kinds.reduce(0) { $0 + $1.weight })
    for (kind, weight) in kinds {
      place -= weight
      if place < 0 { return kind }
    }
    return .kill
  }

  private mutating func perform(_ kind: Kind) {
    counts[kind.rawValue, default: 0] += 1
    cluster.note("\(kind.rawValue)")
    switch kind {
    case .kill: killAndStart([some()])
    case .killLeader: killAndStart([leader()])
    case .killMajority: killAndStart(Array(shuffled.prefix(cluster.nodes.count / 2 + 1)))
    case .killAll: killAndStart(cluster.nodes)
    case .killWhileStarting: killWhileStarting()
    case .terminate: terminate()
    case .pause: pause([some()])
    case .pauseLeader: pause([leader()])
    case .pauseMajority: pause(Array(shuffled.prefix(cluster.nodes.count / 2 + 1)))
    case .failpoint: armFailpoint()
    case .fullDisk: fillDisk()
    case .damage: damage()
    case .wipe: wipe()
    case .remove: removeAndJoin()
    }
  }

  // MARK: Choices

  private var shuffled: [Node] {
    mutating get { cluster.nodes.shuffled(using: &random) }
  }

  private mutating func some() -> Node { cluster.nodes.randomElement(using: &random)! }

  private mutating func leader() -> Node {
    let drawn = some()  // Drawn in any case, so that what comes next does not depend on the answer.
    return cluster.leader() ?? drawn
  }

  /// One that may lose its data or its membership: all the others are voters and have theirs.
  private mutating func expendable() -> Node? {
    let node = some()
    guard let leader = cluster.leader(), let status = cluster.status(leader),
      status.voters.count == cluster.nodes.count
    else { return nil }
    return node
  }

  // MARK: Processes

  private mutating func killAndStart(_ victims: [Node]) {
    cluster.kill(victims)
    for node in victims.shuffled(using: &random) {
      if random.coin(0.5) { cluster.wait(random.between(0, 0.8)) }
      startIfNeeded(node)
    }
  }

  private func startIfNeeded(_ node: Node) {
    cluster.reap()
    if node.process == nil, !node.isLost { cluster.start(node) }
  }

  /// Crashes during recovery, again and again.
  private mutating func killWhileStarting() {
    let node = some()
    for _ in 0..<(2 + random.below(3)) {
      cluster.kill([node])
      guard !node.isLost else { return }
      cluster.start(node)
      cluster.wait(random.between(0, 0.15))
    }
  }

  /// SIGTERM: an orderly end, with the leadership handed over. What takes too long is killed.
  private mutating func terminate() {
    let node = random.coin(0.6) ? leader() : some()
    guard node.process != nil, !node.isPaused else { return }
    // Before it listens for signals, SIGTERM ends it as it ends any process.
    node.mayEndWith.formUnion([0, 128 + SIGTERM])
    node.signal(SIGTERM)
    if !cluster.awaitEnd(node, within: 15) {
      cluster.kill([node])
    }
    startIfNeeded(node)
  }

  private mutating func pause(_ victims: [Node]) {
    for node in victims { node.pause() }
    cluster.wait(random.coin(0.3) ? random.between(1, 4) : random.between(0.05, 0.8))
    for node in victims { node.resume() }
  }

  private mutating func armFailpoint() {
    let node = some()
    let failpoints = self.failpoints.draw(&random)
    cluster.kill([node])
    guard !node.isLost else { return }
    cluster.note("\(node.name) with \(failpoints)")
    cluster.start(node, failpoints: failpoints)
    // Killed by itself, or ended by an error of its disk.
    node.mayEndWith = [128 + SIGKILL, 74]
    if cluster.awaitEnd(node, within: random.between(1, 6)) {
      counts["failpoints that ended a process", default: 0] += 1
    }
    cluster.kill([node])
    startIfNeeded(node)
  }

  // MARK: Disks

  /// Fills the small volume, and writes until what was prepared of the log is used up.
  private mutating func fillDisk() {
    guard let volume = cluster.volume, let node = cluster.nodes.last else { return }
    volume.fill(leaving: random.below(2) * 4 << 20)
    let body = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
    for number in 0..<160 {
      guard Clock.now < deadline + 20 * Clock.second else { break }
      let target = "/key?key=bulk\(number % 4)"
      _ = cluster.ask("PUT", target, body: body, at: cluster.nodes[0], patience: 3)
      cluster.reap()
      for node in cluster.nodes { startIfNeeded(node) }
    }
    if node.log.contains("the disk is full") { counts["disks seen full", default: 0] += 1 }
    if random.coin(0.4) { killAndStart([node]) }
    cluster.wait(random.between(0, 1))
    volume.release()
  }

  /// Damages a file of one stopped node: it must refuse to start, with its code, or not need the
  /// file.
  private mutating func damage() {
    guard let node = expendable() else { return }
    cluster.kill([node])
    guard let damage = Damage.draw(node.directory, &random) else { return startIfNeeded(node) }
    cluster.note("\(node.name): \(damage)")
    cluster.start(node)
    node.mayEndWith = [73]
    if cluster.awaitEnd(node, within: 5) {
      node.isLost = true
      counts["damages that stopped a node", default: 0] += 1
    } else if damage.isVital {
      cluster.fail("\(node.name) runs in spite of damage: \(damage)")
    } else {
      node.mayEndWith = []
    }
    cluster.wait(random.between(0, 0.5))
    recover(node)
  }

  /// An empty directory under an old name: it may not vote, nor join, before it was removed.
  private mutating func wipe() {
    guard let node = expendable() else { return }
    cluster.kill([node])
    node.clearDirectory()
    node.isLost = true
    cluster.start(node)
    cluster.wait(random.between(0.3, 1.5))
    if let status = cluster.status(node), status.role != "waiting" {
      cluster.fail("\(node.name), wiped and not removed, is \(status.role)")
    }
    cluster.kill([node])
    recover(node)
  }

  /// The documented procedure, as far as the storm lets it; the rest is done when it is over.
  private func recover(_ node: Node) {
    while node.isLost, isOn {
      cluster.recover(node)
      cluster.wait(0.1)
    }
  }

  // MARK: Members

  private mutating func removeAndJoin() {
    guard let node = expendable() else { return }
    let pause = random.between(0, 1.5)
    while isOn, !cluster.remove(node) { cluster.wait(0.1) }
    cluster.wait(pause)
    while isOn, !cluster.join(node) { cluster.wait(0.1) }
  }
}
