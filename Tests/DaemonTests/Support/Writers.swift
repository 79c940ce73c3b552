import Foundation
import Synchronization

/// Clients that write without pause, each value once and each to a key of its own, and remember
/// what was promised to them.
final class Writers: Sendable {
  private struct State {
    var isStopping = false
    var running = 0
    var acknowledged: [String: String] = [:]
    var surprises: [String] = []
  }

  private let state = Mutex(State())

  /// `count` clients in threads of their own; each goes through `addresses` in its own order.
  init(_ count: Int, to addresses: [String]) {
    for number in 0..<count {
      state.withLock { $0.running += 1 }
      Thread.detachNewThread { self.write(number, addresses) }
    }
  }

  private func write(_ number: Int, _ addresses: [String]) {
    var round = 0
    while !state.withLock({ $0.isStopping }) {
      let key = "writer\(number)-\(round)"
      let value = "\(round) of \(number)"
      let answer = try? Client.request(
        "PUT", addresses[(number + round) % addresses.count], "/key?key=\(key)",
        body: Array(value.utf8), follows: true, patience: 20)
      // Without an answer, or with 503 or 504, nothing was promised.
      switch answer?.status {
      case 200?: state.withLock { $0.acknowledged[key] = value }
      case nil: Clock.sleep(0.01)
      case 503?, 504?: Clock.sleep(0.01)
      case let status?: state.withLock { $0.surprises.append("\(key): \(status)") }
      }
      round += 1
    }
    state.withLock { $0.running -= 1 }
  }

  var count: Int { state.withLock { $0.acknowledged.count } }

  /// Waits for this many more acknowledged writes.
  func awaitMore(_ more: Int) throws {
    let wanted = count + more
    try eventually("\(more) more writes are acknowledged") { count >= wanted }
  }

  /// Ends the clients; everything that was acknowledged to any of them.
  func stop() throws -> [String: String] {
    state.withLock { $0.isStopping = true }
    try eventually("the writers end") { state.withLock { $0.running } == 0 }
    let surprises = state.withLock { $0.surprises }
    guard surprises.isEmpty else { throw ClientError.malformed("answers \(surprises)") }
    return state.withLock { $0.acknowledged }
  }
}

extension Node {
  /// The keys of `expected` that this node does not have with their value.
  func missing(_ expected: [String: String], level: String) throws -> [String] {
    let connection = try Connection(to: httpAddress)
    var missing: [String] = []
    let keys = expected.keys.sorted()
    for start in stride(from: 0, to: keys.count, by: 32) {
      let some = keys[start..<min(start + 32, keys.count)]
      let requests = some.map {
        "GET /key?key=\($0)&level=\(level) HTTP/1.1\r\nHost: \(httpAddress)\r\n\r\n"
      }
      try connection.send(requests.joined())
      for key in some where try connection.response().text != expected[key] { missing.append(key) }
    }
    return missing
  }
}
