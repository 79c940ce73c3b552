import RaftKV

/// The run in 64 bits: every event and what it led to is folded in, so that two runs are the same
/// if their hashes are. Where somebody listens, events are told in words as well.
struct Trace {
  private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  /// Takes every note in words, as it is made.
  var sink: ((String) -> Void)?
  var isRecording: Bool { sink != nil }

  mutating func fold(_ value: UInt64) {
    var mixed = hash ^ value
    mixed = (mixed ^ (mixed >> 32)) &* 0x9e37_79b9_7f4a_7c15
    hash = mixed ^ (mixed >> 29)
  }

  mutating func note(_ time: UInt64, _ host: Int?, _ text: @autoclosure () -> String) {
    guard let sink else { return }
    let who = host.map { "n\($0 + 1)" } ?? "--"
    sink("\(Self.seconds(time)) \(who) \(text())")
  }

  /// Seconds with six decimals.
  static func seconds(_ time: UInt64) -> String {
    let micros = String(time / 1000 % 1_000_000)
    return "\(time / 1_000_000_000)." + String(repeating: "0", count: 6 - micros.count) + micros
  }
}

/// Time in a simulation: nanoseconds since its start, as nobody in it sees them.
enum Duration {
  static let microsecond: UInt64 = 1_000
  static let millisecond: UInt64 = 1_000_000
  static let second: UInt64 = 1_000_000_000
}

extension Random {
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(limit, 1))) }
  mutating func coin(_ probability: Double) -> Bool { unit() < probability }
  /// In 0 ..< 1.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
  mutating func time(_ shortest: UInt64, _ longest: UInt64) -> UInt64 {
    longest > shortest ? shortest + next() % (longest - shortest) : shortest
  }
  /// Between `low` and `high`, every order of magnitude equally likely.
  mutating func logarithmic(_ low: UInt64, _ high: UInt64) -> UInt64 {
    // Doubling rather than the library's logarithm: the same bits on every machine.
    var bound = low
    var doublings = 0
    while bound < high {
      bound *= 2
      doublings += 1
    }
    let start = low << UInt64(below(doublings + 1))
    return min(high, time(start, start * 2))
  }
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}
