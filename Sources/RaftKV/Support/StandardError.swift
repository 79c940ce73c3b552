import Glibc

/// Last words, on standard error, in one `write` so that lines of several processes do not mix.
package enum StandardError {
  package static func write(line: String) {
    let bytes = Array(line.utf8) + [UInt8(ascii: "\n")]
    bytes.withUnsafeBytes { write($0) }
  }

  package static func write(_ bytes: UnsafeRawBufferPointer) {
    // Nobody can be told when even this fails.
    _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
  }

  /// Whether standard error goes to the journal: systemd names the stream's device and inode in
  /// `$JOURNAL_STREAM`, which a child may have inherited after redirecting it (systemd.exec(5)).
  package static var isJournal: Bool {
    guard let stream = Environment["JOURNAL_STREAM"] else { return false }
    var info = stat()
    return fstat(STDERR_FILENO, &info) == 0 && stream == "\(info.st_dev):\(info.st_ino)"
  }
}

/// Where the log goes: standard error.
package final class LogOutput {
  /// May change at run time.
  package var style: LogStyle
  private let node: String
  private let isJournal: Bool
  private var line = LogLine()
  /// The text of the second that was last asked for: lines come in bursts.
  private var second = (seconds: -1, text: "")

  package init(style: LogStyle, node: String, isJournal: Bool = StandardError.isJournal) {
    self.style = style
    self.node = node
    self.isJournal = isJournal
  }

  /// A logger that writes here.
  package func logger(level: Logger.Level) -> Logger {
    Logger(level: level) { [self] level, area, message in
      write(level, area: area) { $0.append("msg", message) }
    }
  }

  /// One line with the fields that `body` appends.
  package func write(
    _ level: Logger.Level, area: String, _ body: (inout LogLine) -> Void
  ) {
    line.begin(
      style, level, isJournal: isJournal, time: timestamp(), node: node, area: area)
    body(&line)
    StandardError.write(line.finish())
  }

  /// The wall clock in UTC, to the millisecond (RFC 3339).
  private func timestamp() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    if time.tv_sec != second.seconds {
      var parts = tm()
      gmtime_r(&time.tv_sec, &parts)
      let date = [
        padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2),
        padded(Int(parts.tm_mday), 2),
      ]
      let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }
      second = (time.tv_sec, date.joined(separator: "-") + "T" + clock.joined(separator: ":"))
    }
    return "\(second.text).\(padded(time.tv_nsec / 1_000_000, 3))Z"
  }

  private func padded(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
