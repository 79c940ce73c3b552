/// How log lines are written (`-log-format`).
package enum LogStyle: String, Sendable, CaseIterable {
  /// `time=2026-11-24T04:43:15.123Z level=info node=node1 msg="leads in term 3, from 12@3"`
  case logfmt
  /// The same names as members of one JSON object per line.
  case json
}

/// One line being put together, field by field.
///
/// A message may hold anything a peer or a client sent: quotes, line ends and control characters
/// are escaped in both styles, so one event is one line whatever it says. Under systemd a line
/// begins with its priority, `<6>`, as sd-daemon(3) has it.
package struct LogLine: ~Copyable {
  private var buffer = ByteBuffer()
  private var style = LogStyle.logfmt
  private var isFirst = true

  package init() {}

  /// Begins a line in place of the last one.
  package mutating func begin(
    _ style: LogStyle, _ level: Logger.Level, isJournal: Bool, time: String, node: String,
    area: String
  ) {
    buffer.clear(keeping: 16 << 10)
    self.style = style
    isFirst = true
    if isJournal {
      buffer.append(UInt8(ascii: "<"))
      buffer.append(decimal: level.priority)
      buffer.append(UInt8(ascii: ">"))
    }
    if style == .json { buffer.append(UInt8(ascii: "{")) }
    append("time", time)
    append("level", "\(level)")
    append("node", node)
    if !area.isEmpty { append("area", area) }
  }

  package mutating func append(_ name: StaticString, _ text: String) {
    beginField(name)
    let isPlain = !text.isEmpty && text.utf8.allSatisfy(\.isPlainInLogfmt)
    if style == .logfmt, isPlain { buffer.append(text: text) } else { buffer.append(json: text) }
  }

  package mutating func append(_ name: StaticString, _ number: UInt64) {
    beginField(name)
    buffer.append(decimal: number)
  }

  /// Ends the line; its bytes, with the line end, are borrowed until the next `begin`.
  package mutating func finish() -> UnsafeRawBufferPointer {
    if style == .json { buffer.append(UInt8(ascii: "}")) }
    buffer.append(UInt8.lineFeed)
    return buffer.readable
  }

  private mutating func beginField(_ name: StaticString) {
    if style == .json {
      if !isFirst { buffer.append(UInt8(ascii: ",")) }
      buffer.append(UInt8(ascii: "\""))
      buffer.append(name)
      buffer.append("\":" as StaticString)
    } else {
      if !isFirst { buffer.append(UInt8.space) }
      buffer.append(name)
      buffer.append(UInt8(ascii: "="))
    }
    isFirst = false
  }
}

extension Logger.Level {
  /// As in syslog(3): 7 is debug, 3 an error.
  package var priority: Int {
    switch self {
    case .debug: 7
    case .info: 6
    case .warning: 4
    case .error: 3
    }
  }
}

extension UInt8 {
  /// What needs no quotes in logfmt.
  fileprivate var isPlainInLogfmt: Bool {
    self > .space && self < 0x7f && self != UInt8(ascii: "\"") && self != UInt8(ascii: "=")
      && self != UInt8(ascii: "\\")
  }
}
