/// One line per event, for people: `info raft: node2 won the election of term 4 with 2 of 3 votes`.
/// Messages are built only when their level is on; a sink is set once, at start.
package struct Logger {
  package enum Level: Int, Comparable, CaseIterable, Sendable {
    case debug, info, warning, error

    package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  package let level: Level
  private let area: String
  private let sink: (Level, String) -> Void

  package init(level: Level, area: String = "", sink: @escaping (Level, String) -> Void) {
    self.level = level
    self.area = area
    self.sink = sink
  }

  /// The same logger speaking for one part of the server.
  package func with(area: String) -> Logger { Logger(level: level, area: area, sink: sink) }

  package func debug(_ message: @autoclosure () -> String) { log(.debug, message) }
  package func info(_ message: @autoclosure () -> String) { log(.info, message) }
  package func warning(_ message: @autoclosure () -> String) { log(.warning, message) }
  package func error(_ message: @autoclosure () -> String) { log(.error, message) }

  private func log(_ level: Level, _ message: () -> String) {
    guard level >= self.level else { return }
    sink(level, area.isEmpty ? message() : "\(area): \(message())")
  }

  /// A logger that says nothing, for tests.
  package static var silent: Logger { Logger(level: .error) { _, _ in } }
}
