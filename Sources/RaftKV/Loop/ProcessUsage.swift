import Glibc

/// What this process uses of the machine.
package struct ProcessUsage: Equatable, Sendable {
  /// Bytes in memory, by /proc/self/statm; 0 where that cannot be read.
  package var residentBytes: UInt64
  /// User and system time since the start.
  package var cpu: Interval

  package static var now: ProcessUsage {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    func nanoseconds(_ time: timeval) -> UInt64 {
      UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1000
    }
    return ProcessUsage(
      residentBytes: residentPages() * UInt64(sysconf(Int32(_SC_PAGESIZE))),
      cpu: Interval(nanoseconds: nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)))
  }

  /// The second number of `size resident shared text lib data dt`.
  private static func residentPages() -> UInt64 {
    guard let bytes = try? TextFile.read("/proc/self/statm") else { return 0 }
    let numbers = bytes.split(separator: UInt8.space)
    guard numbers.count > 1 else { return 0 }
    return numbers[1].reduce(0) { $0 &* 10 &+ UInt64($1 &- UInt8(ascii: "0")) }
  }
}
