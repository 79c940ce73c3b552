/// A point on the node's steady clock (CLOCK_BOOTTIME: it goes on during suspend; trap C5), in
/// nanoseconds. Clocks of two nodes are never compared.
package struct Instant: Hashable, Comparable, Sendable {
  package var nanoseconds: UInt64
  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static let zero = Instant(nanoseconds: 0)
  package static let distantFuture = Instant(nanoseconds: .max)

  /// The earlier of two; where one is nil, the other.
  package static func earlier(_ left: Instant?, _ right: Instant?) -> Instant? {
    guard let left, let right else { return left ?? right }
    return min(left, right)
  }

  package static func < (left: Instant, right: Instant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
  package static func + (instant: Instant, interval: Interval) -> Instant {
    Instant(nanoseconds: instant.nanoseconds + interval.nanoseconds)
  }
  /// The time from `start` to `end`; zero when `end` is not later.
  package static func - (end: Instant, start: Instant) -> Interval {
    Interval(nanoseconds: end > start ? end.nanoseconds - start.nanoseconds : 0)
  }
}

/// A length of time, in nanoseconds, never negative.
package struct Interval: Hashable, Comparable, Sendable {
  package var nanoseconds: UInt64
  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static let zero = Interval(nanoseconds: 0)
  package static func microseconds(_ count: Int) -> Interval {
    Interval(nanoseconds: UInt64(count) * 1_000)
  }
  package static func milliseconds(_ count: Int) -> Interval {
    Interval(nanoseconds: UInt64(count) * 1_000_000)
  }
  package static func seconds(_ count: Int) -> Interval {
    Interval(nanoseconds: UInt64(count) * 1_000_000_000)
  }
  package static func < (left: Interval, right: Interval) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
  package static func + (left: Interval, right: Interval) -> Interval {
    Interval(nanoseconds: left.nanoseconds + right.nanoseconds)
  }
  /// Zero when `right` is the longer one.
  package static func - (left: Interval, right: Interval) -> Interval {
    Interval(nanoseconds: left > right ? left.nanoseconds - right.nanoseconds : 0)
  }
  package static func * (interval: Interval, factor: Int) -> Interval {
    Interval(nanoseconds: interval.nanoseconds * UInt64(factor))
  }
  package static func / (interval: Interval, divisor: Int) -> Interval {
    Interval(nanoseconds: interval.nanoseconds / UInt64(divisor))
  }
  /// Whole milliseconds, rounded down.
  package var milliseconds: Int { Int(nanoseconds / 1_000_000) }
}
