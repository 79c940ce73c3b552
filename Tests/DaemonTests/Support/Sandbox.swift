import Glibc

/// A temporary directory, the nodes in it, and the promise that none of them outlives the test.
final class Sandbox {
  let directory: String
  private(set) var nodes: [Node] = []
  private var mounts: [String] = []
  private let program: String

  /// Runs a story. Where it throws, what the nodes have said is printed.
  static func run(
    program: String = Program.path, _ story: (Sandbox) throws -> Void
  ) throws {
    let sandbox = try Sandbox(program: program)
    defer { sandbox.clear() }
    do { try story(sandbox) } catch {
      sandbox.printLogs()
      throw error
    }
  }

  private init(program: String) throws {
    self.program = program
    var template = Array("/tmp/raftkvd-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ClientError.system("mkdtemp", errno) }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: Nodes

  /// A node that is not started yet, on ports of its own.
  func node(_ name: String, host: String = "127.0.0.1", in parent: String? = nil) throws -> Node {
    let node = Node(
      name: name, raftAddress: "\(host):\(try Ports.free())",
      httpAddress: "\(host):\(try Ports.free())",
      directory: "\(parent ?? directory)/\(name)",
      logPath: "\(directory)/\(name)-\(nodes.count).log")
    node.program = program
    nodes.append(node)
    return node
  }

  /// A disk of its own for the nodes that are made in its path.
  func smallDisk(mebibytes: Int) throws -> SmallDisk {
    let disk = try SmallDisk(
      mountedAt: "\(directory)/disk\(mounts.count)", mebibytes: mebibytes)
    mounts.append(disk.path)
    return disk
  }

  /// node1 bootstraps, the others join through it; returns when all of them are voters and know it.
  func cluster(of count: Int, _ flags: [String] = []) throws -> [Node] {
    let members = try (1...count).map { try node("node\($0)") }
    try start(members, flags)
    return members
  }

  func start(_ members: [Node], _ flags: [String] = []) throws {
    try members[0].start(["-bootstrap"] + flags)
    try members[0].awaitStatus("leads") { $0.role == "leader" }
    for node in members.dropFirst() {
      try node.start(["-join", members[0].httpAddress] + flags)
    }
    let names = members.map(\.name).sorted()
    for node in members {
      try node.awaitStatus("voters are \(names)") { $0.voters == names && $0.leader != nil }
    }
  }

  /// The node that leads, once the others say so too.
  func leader(of members: [Node]) throws -> Node {
    var leader: Node?
    try eventually("\(members.map(\.name)) agree on a leader") {
      let statuses = members.map { try? $0.status() }
      guard let name = statuses.compactMap({ $0 }).first(where: { $0.role == "leader" })?.id,
        statuses.allSatisfy({ $0?.leader?.id == name })
      else { return false }
      leader = members.first { $0.name == name }
      return leader != nil
    }
    return leader!
  }

  /// Waits until all have applied the same, and returns whether their states are equal.
  func converge(_ members: [Node]) throws -> Bool {
    var hashes: Set<String> = []
    try eventually("\(members.map(\.name)) have applied the same entries") {
      let statuses = members.compactMap { try? $0.status() }
      guard statuses.count == members.count, Set(statuses.map(\.appliedIndex)).count == 1,
        Set(statuses.map(\.lastIndex)).count == 1,
        statuses.allSatisfy({ $0.appliedIndex == $0.lastIndex })
      else { return false }
      hashes = Set(statuses.map(\.stateHash))
      return true
    }
    return hashes.count == 1
  }

  /// A run of the binary that is expected to end by itself: its exit code and its last words.
  func run(
    _ flags: [String], in directory: String? = nil, environment: [String: String] = [:]
  ) throws -> (code: Int32, words: String) {
    let log = "\(self.directory)/run.log"
    unlink(log)
    let process = try Program.spawn(
      flags, log: log, in: directory ?? self.directory, environment: environment)
    do {
      return (try Program.wait(for: process), Program.contents(of: log))
    } catch {
      kill(process, SIGKILL)
      _ = try? Program.wait(for: process)
      throw error
    }
  }

  // MARK: The end

  private func clear() {
    for node in nodes { try? node.kill9() }
    for path in mounts { SmallDisk.unmount(path) }
    Files.removeTree(directory)
  }

  private func printLogs() {
    for node in nodes {
      let lines = node.log.split(separator: "\n").suffix(60)
      print("──── \(node.name), last lines ────\n" + lines.joined(separator: "\n"))
    }
  }
}
