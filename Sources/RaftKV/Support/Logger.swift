/// One line per event, for people and for programs. Messages are built only when their level is on;
/// a sink is set once, at start.
package struct Logger {
  package enum Level: Int, Comparable, CaseIterable, Sendable {
    case debug, info, warning, error

    package init?(_ text: String) {
      guard let level = Self.allCases.first(where: { "\($0)" == text }) else { return nil }
      self = level
    }

    package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  package typealias Sink = (_ level: Level, _ area: String, _ message: String) -> Void

  /// Shared by all copies of a logger: what is changed here at run time holds for every part of the
  /// server.
  package final class Control {
    package var level: Level
    package init(level: Level) { self.level = level }
  }

  package let control: Control
  private let area: String
  private let sink: Sink

  package init(level: Level, area: String = "", sink: @escaping Sink) {
    self.init(control: Control(level: level), area: area, sink: sink)
  }

  package init(control: Control, area: String = "", sink: @escaping Sink) {
    self.control = control
    self.area = area
    self.sink = sink
  }

  /// The same logger speaking for one part of the server.
  package func with(area: String) -> Logger { Logger(control: control, area: area, sink: sink) }

  package func debug(_ message: @autoclosure () -> String) { log(.debug, message) }
  package func info(_ message: @autoclosure () -> String) { log(.info, message) }
  package func warning(_ message: @autoclosure () -> String) { log(.warning, message) }
  package func error(_ message: @autoclosure () -> String) { log(.error, message) }

  private func log(_ level: Level, _ message: () -> String) {
    guard level >= control.level else { return }
    sink(level, area, message())
  }

  /// A logger that says nothing, for tests.
  package static var silent: Logger { Logger(level: .error) { _, _, _ in } }
}
