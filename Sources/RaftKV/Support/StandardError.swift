import Glibc

/// Log lines and last words, on standard error, one `write` each so that lines of
/// several processes do not mix.
package enum StandardError {
  package static func write(line: String) {
    var bytes = Array(line.utf8)
    bytes.append(UInt8(ascii: "\n"))
    _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  /// A logger in the form `2026-11-24T04:43:15.123Z info node1: message`.
  package static func logger(level: Logger.Level, name: String) -> Logger {
    Logger(level: level) { level, message in
      write(line: "\(timestamp()) \(level) \(name): \(message)")
    }
  }

  /// The wall clock in UTC, to the millisecond (RFC 3339).
  private static func timestamp() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var parts = tm()
    gmtime_r(&time.tv_sec, &parts)
    func padded(_ value: Int, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
    let clock = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
    return date.map { padded($0, 2) }.joined(separator: "-") + "T"
      + clock.map { padded($0, 2) }.joined(separator: ":") + "."
      + padded(time.tv_nsec / 1_000_000, 3) + "Z"
  }
}
