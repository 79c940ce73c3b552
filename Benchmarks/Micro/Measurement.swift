import Glibc
import RaftKV

/// Times operations in rounds, and prints the median: other work on the machine slows rounds down,
/// and never speeds one up.
struct Measurement {
  let filter: String
  let rounds: Int

  /// `body` performs so many operations, and the names of what is measured match the filter.
  /// A first round warms caches, branch predictors and buffers, and does not count.
  func measure(_ name: String, operations: Int, _ body: (Int) throws -> Void) rethrows {
    guard filter.isEmpty || name.contains(filter) else { return }
    var times: [Double] = []
    for round in 0...rounds {
      let start = EventLoop.now
      try body(operations)
      let spent = EventLoop.now - start
      if round > 0 { times.append(Double(spent.nanoseconds) / Double(operations)) }
    }
    times.sort()
    let median = times[times.count / 2]
    print(
      Self.column(name, 44, alignsLeft: true), Self.column(Self.spelled(median), 10),
      Self.column(Self.grouped(Int(1e9 / median)), 14),
      Self.column("\(Self.spelled(times.first!)) – \(Self.spelled(times.last!))", 22))
    fflush(nil)
  }

  static func printHead() {
    print(
      column("operation", 44, alignsLeft: true), column("ns", 10), column("per second", 14),
      column("fastest – slowest", 22))
  }

  private static func spelled(_ nanoseconds: Double) -> String {
    let tenths = Int((nanoseconds * 10).rounded())
    return nanoseconds < 100 ? "\(tenths / 10).\(tenths % 10)" : grouped((tenths + 5) / 10)
  }

  private static func grouped(_ number: Int) -> String {
    let digits = Array(String(number))
    return String(
      digits.indices.flatMap { index in
        index > 0 && (digits.count - index) % 3 == 0 ? [" ", digits[index]] : [digits[index]]
      })
  }

  private static func column(_ text: String, _ width: Int, alignsLeft: Bool = false) -> String {
    let blank = String(repeating: " ", count: max(0, width - text.count))
    return alignsLeft ? text + blank : blank + text
  }
}

/// Takes a result, so that the optimiser cannot see that nobody needs it.
@inline(never)
func keep<Value>(_ value: Value) { withExtendedLifetime(value) {} }
