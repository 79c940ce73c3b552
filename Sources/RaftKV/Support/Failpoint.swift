#if FAILPOINTS
import Glibc

/// Places where a test build can be made to die, stand still or fail. A product build, without
/// `-DFAILPOINTS`, has no trace of them.
///
/// ```
/// RAFTKVD_FAILPOINTS="before-append-write=kill@3;after-rename=delay:200ms;before-send=kill%1"
/// ```
/// names sites, each with what happens there: `kill` (SIGKILL, nothing is flushed), `delay:<n>ms`
/// (the loop stands still), `error` (the operation fails with EIO, before it was done or after;
/// only at sites that have a way to fail). Behind it `@3`: only the third time it is passed; `%1`:
/// each time with a chance of one percent; neither: each time.
package struct Failpoint {
  package enum Site: String, CaseIterable {
    case appendWrite = "append-write"
    case hardStateWrite = "hard-state-write"
    case send
    case apply
    /// Into a snapshot's temporary file.
    case snapshotWrite = "snapshot-write"
    case rename
    case directorySync = "directory-sync"
    case compact
    /// The configuration that the node follows changes.
    case configurationChange = "configuration-change"

    var canFail: Bool {
      switch self {
      case .appendWrite, .hardStateWrite, .snapshotWrite, .rename, .directorySync: true
      case .send, .apply, .compact, .configurationChange: false
      }
    }
  }

  package enum Moment: String, CaseIterable { case before, after }

  private enum Action: Equatable {
    case kill
    case delay(milliseconds: UInt32)
    case error
  }

  private enum Condition {
    case always
    case only(Int)
    case percent(Int)
  }

  private let name: String
  private let action: Action
  private let condition: Condition
  private var passed = 0

  /// Only the loop's thread passes here.
  nonisolated(unsafe) private static var armed = parse(variable)

  private static var variable: String {
    guard let text = getenv("RAFTKVD_FAILPOINTS") else { return "" }
    return String(cString: text)
  }

  /// What the site's operation shall fail with, if it shall.
  @discardableResult
  package static func pass(_ moment: Moment, _ site: Site) -> DiskError? {
    var failure: DiskError?
    for place in armed.indices where armed[place].name == "\(moment)-\(site.rawValue)" {
      if armed[place].isDue() { failure = armed[place].act() ?? failure }
    }
    return failure
  }

  private mutating func isDue() -> Bool {
    passed += 1
    return switch condition {
    case .always: true
    case .only(let count): passed == count
    case .percent(let chance): Int.random(in: 0..<100) < chance
    }
  }

  private func act() -> DiskError? {
    StandardError.write(line: "failpoint \(name): \(action)")
    switch action {
    case .kill:
      kill(getpid(), SIGKILL)
      // The signal may be a moment on its way; nothing may happen in it.
      while true { pause() }
    case .delay(let milliseconds): usleep(milliseconds * 1000)
    case .error: return DiskError(operation: "failpoint \(name)", code: EIO)
    }
    return nil
  }

  // MARK: The variable

  private static func parse(_ text: String) -> [Failpoint] {
    text.split(separator: ";").map { item in
      guard let point = Failpoint(item) else {
        StandardError.write(line: "raftkvd: RAFTKVD_FAILPOINTS: '\(item)' is no failpoint")
        ProcessExit.now(64)
      }
      return point
    }
  }

  private init?(_ text: Substring) {
    let halves = text.split(separator: "=")
    guard halves.count == 2 else { return nil }
    var words = halves[1]
    var condition = Condition.always
    if let mark = words.lastIndex(where: { $0 == "@" || $0 == "%" }) {
      guard let number = Int(words[words.index(after: mark)...]) else { return nil }
      condition = words[mark] == "@" ? .only(number) : .percent(number)
      words = words[..<mark]
    }
    guard
      let site = Site.allCases.first(where: { site in
        Moment.allCases.contains { halves[0] == "\($0)-\(site.rawValue)" }
      })
    else { return nil }
    if words == "kill" {
      action = .kill
    } else if words == "error", site.canFail {
      action = .error
    } else if words.hasPrefix("delay:"), words.hasSuffix("ms"),
      let milliseconds = UInt32(words.dropFirst(6).dropLast(2))
    {
      action = .delay(milliseconds: milliseconds)
    } else {
      return nil
    }
    name = String(halves[0])
    self.condition = condition
  }
}
#endif
