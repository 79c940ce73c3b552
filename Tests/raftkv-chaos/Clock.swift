import Glibc

enum Clock {
  static let second: UInt64 = 1_000_000_000
  static let millisecond: UInt64 = 1_000_000

  /// Nanoseconds of CLOCK_MONOTONIC: one clock for everything that happens on this machine.
  static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * second + UInt64(time.tv_nsec)
  }

  static func sleep(_ seconds: Double) { usleep(UInt32(seconds * 1e6)) }
}
