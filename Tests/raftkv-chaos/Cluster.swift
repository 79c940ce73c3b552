import Foundation
import Glibc

/// The processes, their wires and their disks. One thread, the operator's, starts and ends them.
final class Cluster {
  struct Failure: Error { var text: String }

  let options: Options
  let directory: String
  let nodes: [Node]
  let network: Network
  let lives: Lives
  /// The last node lives on a small volume of its own, which can be filled.
  let volume: SmallVolume?
  private let http = HTTPClient()
  private let journal: Int32
  private(set) var kills = 0
  /// Processes that ended though nobody told them to.
  private var violations: [String] = []

  init(_ options: Options, count: Int, directory: String) throws {
    self.options = options
    self.directory = directory
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let volume = options.isMild ? nil : SmallVolume(at: "\(directory)/volume")
    self.volume = volume
    nodes = (0..<count).map {
      let isSmall = $0 == count - 1 && volume != nil
      return Node(number: $0, in: directory, dataIn: isSmall ? volume!.path : directory)
    }
    network = Network(
      nodes.map {
        Network.Place(name: $0.name, port: $0.advertisedPort, raftPort: $0.raftPort)
      })
    lives = Lives(count)
    journal = open("\(directory)/faults.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
  }

  deinit { close(journal) }

  /// What was done and when, beside the nodes' logs.
  func note(_ text: String) {
    let line = "\(Clock.now / Clock.millisecond) \(text)\n"
    line.withCString { _ = Glibc.write(journal, $0, strlen($0)) }
  }

  func fail(_ text: String) { violations.append(text) }

  func takeViolations() -> [String] {
    defer { violations = [] }
    return violations
  }

  // MARK: Start

  func form() throws(Failure) {
    start(nodes[0], ["-bootstrap"])
    try awaitStatus(nodes[0], "leads", within: 60) { $0.role == "leader" }
    for node in nodes.dropFirst() { start(node) }
    try awaitAllVoters(within: 120)
  }

  /// With `-join` always: harmless where there is state.
  func start(_ node: Node, _ flags: [String]? = nil, failpoints: String? = nil) {
    let others = nodes.filter { $0 !== node }.map(\.httpAddress).joined(separator: ",")
    network.open(node.number)
    lives.begin(node.number)
    node.mayEndWith = []
    node.start(
      options.binary, options.flags + (flags ?? ["-join", others]), failpoints: failpoints)
  }

  // MARK: Ends

  /// Waits, and sees who ends meanwhile.
  func wait(_ seconds: Double) {
    let deadline = Clock.now + UInt64(seconds * 1e9)
    repeat {
      reap()
      Clock.sleep(0.01)
    } while Clock.now < deadline
  }

  func reap() {
    for node in nodes {
      guard let code = node.takeEnd() else { continue }
      network.close(node.number)
      if code == 128 + SIGKILL { kills += 1 }
      guard !node.mayEndWith.contains(code) else { continue }
      violations.append("\(node.name) ended with code \(code):\n    \(node.lastLines)")
    }
  }

  /// `kill -9`, of all of them at once.
  func kill(_ victims: [Node]) {
    for node in victims where node.process != nil {
      node.mayEndWith.insert(128 + SIGKILL)
      node.kill()
    }
    for node in victims { awaitEnd(node, within: 30) }
  }

  /// Returns whether it has ended.
  @discardableResult
  func awaitEnd(_ node: Node, within seconds: Double) -> Bool {
    let deadline = Clock.now + UInt64(seconds * 1e9)
    while node.process != nil, Clock.now < deadline {
      reap()
      Clock.sleep(0.002)
    }
    return node.process == nil
  }

  /// Nothing is left running, mounted or open.
  func end() {
    kill(nodes)
    network.end()
    volume?.unmount()
  }

  // MARK: Looking

  func status(_ node: Node) -> NodeStatus? {
    guard node.process != nil, !node.isPaused,
      case .answer(let answer) = http.request("GET", "/status", port: node.httpPort, patience: 2),
      answer.status == 200
    else { return nil }
    return try? JSONDecoder().decode(NodeStatus.self, from: Data(answer.body))
  }

  func ask(
    _ method: String, _ target: String, body: [UInt8]? = nil, at node: Node, patience: Double = 5
  ) -> Answer? {
    guard node.process != nil, !node.isPaused else { return nil }
    return http.answer(method, target, body: body, port: node.httpPort, patience: patience)
  }

  /// Who leads, as far as it knows itself.
  func leader() -> Node? { nodes.first { status($0)?.role == "leader" } }

  func awaitStatus(
    _ node: Node, _ what: String, within seconds: Double, _ condition: (NodeStatus) -> Bool
  ) throws(Failure) {
    try eventually("\(node.name) \(what)", within: seconds) {
      self.status(node).map(condition) ?? false
    }
  }

  func awaitAllVoters(within seconds: Double) throws(Failure) {
    let names = nodes.map(\.name).sorted()
    try eventually("all nodes are voters", within: seconds) {
      self.nodes.allSatisfy {
        guard let status = self.status($0) else { return false }
        return status.voters == names && status.leader != nil
      }
    }
  }

  func eventually(
    _ what: String, within seconds: Double, _ condition: () -> Bool
  ) throws(Failure) {
    let deadline = Clock.now + UInt64(seconds * 1e9)
    while !condition() {
      guard !Interruption.isRequested else { throw Failure(text: "interrupted") }
      guard Clock.now < deadline else { throw Failure(text: "not within \(seconds) s: \(what)") }
      wait(0.03)
    }
  }
}
