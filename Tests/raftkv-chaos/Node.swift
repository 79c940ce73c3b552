import Foundation
import Glibc
import Synchronization

/// How often each node was started: tells one process from the next.
final class Lives: Sendable {
  private let counts: Mutex<[Int]>
  init(_ count: Int) { counts = Mutex(Array(repeating: 0, count: count)) }
  func current(_ node: Int) -> Int { counts.withLock { $0[node] } }
  func begin(_ node: Int) { counts.withLock { $0[node] += 1 } }
}

/// One raftkvd process, or the place where one was.
final class Node {
  /// What clients and wires need to know.
  struct Place: Sendable {
    var name: String
    var httpPort: UInt16
  }

  let number: Int
  let name: String
  let raftPort = Sockets.freePort()
  let httpPort = Sockets.freePort()
  /// Where the others dial it: a port of `Network`.
  let advertisedPort = Sockets.freePort()
  let directory: String
  let logPath: String
  private(set) var process: pid_t?
  private(set) var isPaused = false
  /// What it may end with, without being told to.
  var mayEndWith: Set<Int32> = []
  /// Its data is gone or damaged: it must be removed, and join with an empty directory.
  var isLost = false

  init(number: Int, in directory: String, dataIn volume: String) {
    self.number = number
    name = "node\(number + 1)"
    self.directory = "\(volume)/\(name)"
    logPath = "\(directory)/\(name).log"
  }

  var place: Place { Place(name: name, httpPort: httpPort) }
  var httpAddress: String { "127.0.0.1:\(httpPort)" }
  var advertisedAddress: String { "127.0.0.1:\(advertisedPort)" }

  /// Starts the binary with its standard error appended to its log.
  func start(_ binary: String, _ arguments: [String], failpoints: String?) {
    precondition(process == nil, "\(name) runs already")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 2, 1)
    let command =
      [
        binary, "-id", name, "-raddr", "127.0.0.1:\(raftPort)", "-haddr", httpAddress,
        "-advertise-raddr", advertisedAddress, "-data", directory,
      ] + arguments
    var texts: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = ProcessInfo.processInfo.environment
      .map { strdup("\($0.key)=\($0.value)") }
    if let failpoints { variables.append(strdup("RAFTKVD_FAILPOINTS=\(failpoints)")) }
    variables.append(nil)
    defer { for text in texts + variables { free(text) } }
    // What we block, to end in order, is not blocked in the node.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var mask = sigset_t()
    sigemptyset(&mask)
    posix_spawnattr_setsigmask(&attributes, &mask)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var process: pid_t = 0
    let status = Sockets.inheriting.withLock { _ in
      posix_spawn(&process, binary, &actions, &attributes, &texts, &variables)
    }
    precondition(status == 0, "\(binary) cannot be started: errno \(status)")
    self.process = process
    isPaused = false
  }

  func kill() { signal(SIGKILL) }

  func pause() {
    signal(SIGSTOP)
    isPaused = true
  }

  func resume() {
    guard isPaused else { return }
    signal(SIGCONT)
    isPaused = false
  }

  func signal(_ signal: Int32) { if let process { Glibc.kill(process, signal) } }

  /// The exit code, or 128 and the signal's number; nil while it runs.
  func takeEnd() -> Int32? {
    guard let process else { return nil }
    var status: Int32 = 0
    guard waitpid(process, &status, WNOHANG) == process else { return nil }
    self.process = nil
    isPaused = false
    return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
  }

  var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

  /// Its last words.
  var lastLines: String {
    log.split(separator: "\n").suffix(5).joined(separator: "\n    ")
  }

  func clearDirectory() {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
      try? FileManager.default.removeItem(atPath: "\(directory)/\(name)")
    }
  }
}

/// Of `/status`, what is needed here.
struct NodeStatus: Decodable {
  struct Leader: Decodable { var id: String }
  struct Member: Decodable {
    var id: String
    var role: String
  }
  var id: String
  var role: String
  var term: UInt64
  var leader: Leader?
  var lastIndex: UInt64
  var appliedIndex: UInt64
  var stateHash: String
  var members: [Member]

  var voters: [String] { members.filter { $0.role == "voter" }.map(\.id).sorted() }
}
