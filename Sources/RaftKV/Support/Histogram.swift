/// How long something took, counted in buckets of powers of two. Its memory is fixed; one
/// observation is a few instructions and never allocates.
///
/// ```
///   bucket   0          1          2        …   23           24
///   up to    1.024 µs   2.048 µs   4.096 µs …   8.59 s       any time
/// ```
package final class Histogram {
  package static let boundCount = 24
  private static let firstBoundShift = 10

  /// A cell for each bucket, and behind them one for the sum. Bare memory: each access to an
  /// object's fields costs more than the addition.
  private let cells = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: boundCount + 2)
  private static let sumCell = boundCount + 1

  package init() { cells.initialize(repeating: 0) }

  deinit { cells.deallocate() }

  /// Not cumulative. The last one counts what is above every bound.
  package var counts: [UInt64] { Array(cells[..<Self.sumCell]) }
  package var count: UInt64 { cells[..<Self.sumCell].reduce(0, &+) }
  package var sum: UInt64 { cells[Self.sumCell] }

  /// The bound of a bucket: what falls into it took at most this long.
  package static func bound(_ bucket: Int) -> Interval {
    Interval(nanoseconds: 1 << UInt64(firstBoundShift + bucket))
  }

  /// `times`: so many things took this long, a batch of them.
  package func observe(_ interval: Interval, times: UInt64 = 1) {
    cells[Self.bucket(interval.nanoseconds)] &+= times
    cells[Self.sumCell] &+= interval.nanoseconds &* times
  }

  private static func bucket(_ nanoseconds: UInt64) -> Int {
    guard nanoseconds > 0 else { return 0 }
    // The bits above the first bound's, of one less, so that a bound itself is inside its bucket.
    let width = UInt64.bitWidth - ((nanoseconds - 1) >> UInt64(firstBoundShift)).leadingZeroBitCount
    return min(width, boundCount)
  }
}
