import Foundation
import Glibc
import Synchronization

/// The wires between the nodes. Every node advertises a port of ours and is dialled through it; who
/// dials tells the hello, the first frame of every connection. So each direction between each two
/// nodes has a rule of its own.
///
/// A wire that is cut loses nothing and resets nothing: as on a real network, the bytes stay with
/// the sender until the path is back. The port of a dead process refuses connections, as its kernel
/// would.
final class Network: Sendable {
  struct Rule {
    var isCut = false
    /// Nanoseconds that each piece takes on its way.
    var delay: UInt64 = 0
  }

  struct State {
    /// `rules[source][target]`
    var rules: [[Rule]]
    /// By node, while its process lives.
    var listeners: [Int32?]
    /// Shut already; the thread closes them when it does not wait for them any more.
    var retired: [Int32] = []
    /// Pairs of nodes whose connections are to be reset.
    var resets: [(Int, Int)] = []
    var isEnding = false
  }

  struct Place: Sendable {
    var name: String
    /// Where the others dial it.
    var port: UInt16
    /// Where it listens.
    var raftPort: UInt16
  }

  let places: [Place]
  private let state: Mutex<State>
  /// A pipe: a byte in it wakes the thread.
  private let alarm: Int32

  init(_ places: [Place]) {
    self.places = places
    state = Mutex(
      State(
        rules: Array(
          repeating: Array(repeating: Rule(), count: places.count), count: places.count),
        listeners: Array(repeating: nil, count: places.count)))
    var ends: [Int32] = [0, 0]
    precondition(pipe(&ends) == 0, "no pipe: errno \(errno)")
    for end in ends { Sockets.prepare(end) }
    alarm = ends[1]
    let listening = ends[0]
    Thread.detachNewThread { Switchboard(self, listening).run() }
  }

  // MARK: Rules

  func change(_ body: (inout [[Rule]]) -> Void) {
    state.withLock { body(&$0.rules) }
    wake()
  }

  func heal() {
    change { rules in
      for source in rules.indices { for target in rules.indices { rules[source][target] = Rule() } }
    }
  }

  func reset(_ one: Int, _ other: Int) {
    state.withLock { $0.resets.append((one, other)) }
    wake()
  }

  // MARK: Processes

  /// Before the process starts: from now on its port is open.
  func open(_ node: Int) {
    while true {
      if let listener = Sockets.listen(at: places[node].port) {
        state.withLock { $0.listeners[node] = listener }
        return wake()
      }
      Clock.sleep(0.01)
    }
  }

  /// The process is gone: from now on its port refuses.
  func close(_ node: Int) {
    state.withLock { state in
      guard let listener = state.listeners[node] else { return }
      shutdown(listener, Int32(SHUT_RDWR))
      state.listeners[node] = nil
      state.retired.append(listener)
      wake()
    }
  }

  deinit { Glibc.close(alarm) }

  func end() {
    let hasEnded = state.withLock { state in
      defer { state.isEnding = true }
      return state.isEnding
    }
    // The thread has closed its end of the alarm.
    if !hasEnded { wake() }
  }

  /// What the thread has to know for its next turn. What was to be done once is taken out.
  func take() -> State {
    state.withLock { state in
      let taken = state
      state.retired = []
      state.resets = []
      return taken
    }
  }

  private func wake() {
    var byte: UInt8 = 0
    _ = write(alarm, &byte, 1)
  }
}
