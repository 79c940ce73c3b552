import Linearizability
import Synchronization

/// What the clients of one round have seen. Values are unique in a round.
final class Records: Sendable {
  private struct State {
    var items: [Record] = []
    var nextValue: UInt64 = 1
    /// Answers that no request of ours can get.
    var surprises: [String] = []
    var isOver = false
    var running = 0
  }

  private let state = Mutex(State())

  var all: [Record] { state.withLock { $0.items } }
  var count: Int { state.withLock { $0.items.count } }
  var surprises: [String] { state.withLock { $0.surprises } }
  var isOver: Bool { state.withLock { $0.isOver } }
  /// Clients that still work.
  var running: Int { state.withLock { $0.running } }

  func add(_ record: Record) { state.withLock { $0.items.append(record) } }
  func surprise(_ text: String) { state.withLock { $0.surprises.append(text) } }
  func end() { state.withLock { $0.isOver = true } }
  func clientBegan() { state.withLock { $0.running += 1 } }
  func clientEnded() { state.withLock { $0.running -= 1 } }

  func newValue() -> UInt64 {
    state.withLock { state in
      defer { state.nextValue += 1 }
      return state.nextValue
    }
  }
}

/// Values as bytes: the number, and for some of them much behind it.
enum Value {
  static func bytes(_ number: UInt64) -> [UInt8] {
    var bytes = Array("\(number)".utf8)
    let size = number % 307 == 0 ? 200_000 : number % 23 == 0 ? 3_000 : 0
    if size > bytes.count {
      bytes.append(contentsOf: repeatElement(UInt8(ascii: "."), count: size - bytes.count))
    }
    return bytes
  }

  /// Nil where these bytes are not a whole value.
  static func number(_ bytes: [UInt8]) -> UInt64? {
    let digits = bytes.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else { return nil }
    return Value.bytes(number) == bytes ? number : nil
  }
}
