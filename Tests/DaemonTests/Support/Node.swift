import Glibc

/// One raftkvd process, or the place where one was: name, addresses, data directory and log stay
/// the same from start to start.
final class Node {
  let name: String
  var raftAddress: String
  var httpAddress: String
  let directory: String
  /// What it wrote to standard error, over all its starts.
  let logPath: String
  /// Taken by every start; slow and calm, because two busy cores make a
  /// default election timeout flap.
  var commonFlags = ["-heartbeat", "100ms", "-election-timeout", "1s"]
  /// Added to the environment of every start.
  var environment: [String: String] = [:]
  var program = Program.path
  /// How many files it may have open; nil: as many as this process may.
  var descriptors: Int?
  private(set) var process: pid_t?

  init(name: String, raftAddress: String, httpAddress: String, directory: String, logPath: String) {
    self.name = name
    self.raftAddress = raftAddress
    self.httpAddress = httpAddress
    self.directory = directory
    self.logPath = logPath
  }

  // MARK: The process

  func start(_ flags: String...) throws { try start(flags) }

  func start(_ flags: [String]) throws {
    precondition(process == nil, "it runs already")
    process = try Program.spawn(
      self.flags + flags, log: logPath, in: "/", environment: environment, program: program,
      descriptors: descriptors)
  }

  /// What every start of it says.
  var flags: [String] {
    ["-id", name, "-raddr", raftAddress, "-haddr", httpAddress, "-data", directory] + commonFlags
  }

  /// A process that was started otherwise.
  func adopt(_ process: pid_t) { self.process = process }

  func send(_ signal: Int32) { if let process { kill(process, signal) } }

  /// `kill -9`: no goodbye, nothing flushed.
  func kill9() throws {
    send(SIGKILL)
    _ = try exitCode()
  }

  /// SIGTERM, and the exit code.
  func stop() throws -> Int32 {
    send(SIGTERM)
    return try exitCode()
  }

  /// Waits for the end of the process; a signal counts as 128 and its number, as in a shell.
  func exitCode(within seconds: Double = 60) throws -> Int32 {
    guard let process else { return -1 }
    let code = try Program.wait(for: process, within: seconds)
    self.process = nil
    return code
  }

  var isRunning: Bool {
    guard let process else { return false }
    return Program.isRunning(process)
  }

  var log: String { Program.contents(of: logPath) }

  // MARK: Its HTTP side

  func request(
    _ method: String, _ target: String, body: [UInt8]? = nil, fields: String = "",
    follows: Bool = false, patience: Double = 60
  ) throws -> Response {
    try Client.request(
      method, httpAddress, target, body: body, fields: fields, follows: follows, patience: patience)
  }

  func get(_ target: String, follows: Bool = false) throws -> Response {
    try request("GET", target, follows: follows)
  }

  /// Writes through whoever leads, again while nobody does: 307 and 503 say "not accepted".
  @discardableResult
  func put(_ key: String, _ value: String) throws -> Response {
    var response: Response?
    try eventually("\(name) takes a write") {
      let answer = try? request(
        "PUT", "/key?key=\(key)", body: Array(value.utf8), follows: true)
      guard let answer, answer.status != 503 else { return false }
      response = answer
      return true
    }
    return response!
  }

  func value(_ key: String, level: String = "stale") throws -> String? {
    let response = try request("GET", "/key?key=\(key)&level=\(level)", follows: true)
    return response.status == 200 ? response.text : nil
  }

  func status() throws -> NodeStatus {
    let response = try request("GET", "/status")
    guard response.status == 200 else { throw ClientError.malformed("status \(response.status)") }
    return try response.decode()
  }

  /// Waits until `/status` satisfies `condition`, through starts and stalls.
  @discardableResult
  func awaitStatus(
    _ what: String, within seconds: Double = 60, _ condition: (NodeStatus) -> Bool
  ) throws -> NodeStatus {
    var last: NodeStatus?
    try eventually("\(name): \(what)", within: seconds) {
      last = try? status()
      return last.map(condition) ?? false
    }
    return last!
  }

  @discardableResult
  func awaitVoters(_ names: String...) throws -> NodeStatus {
    try awaitStatus("voters are \(names)") { $0.voters == names.sorted() && $0.leader != nil }
  }
}
