/// Cuts a schedule that fails down to one that still fails in the same way: fewer hosts, a shorter
/// rage, fewer faults (delta debugging: Zeller and Hildebrandt's ddmin), fewer clients, fewer
/// requests. Each attempt is a run, so it stops wherever time is up: what it has by then fails all
/// the same.
package struct Shrinker {
  /// The smallest one known to fail.
  package private(set) var schedule: Schedule
  package private(set) var attempts = 0
  private let fails: (Schedule) -> Bool
  private let isTimeUp: () -> Bool

  /// `schedule` fails.
  package init(
    _ schedule: Schedule, fails: @escaping (Schedule) -> Bool, isTimeUp: @escaping () -> Bool
  ) {
    self.schedule = schedule
    self.fails = fails
    self.isTimeUp = isTimeUp
  }

  /// `hosts`, `clients` and `rage` (nanoseconds) are what the seed has chosen. `faultCount` tells
  /// how many planned faults the last run that failed came to: later ones had no part in it.
  package mutating func run(hosts: Int, clients: Int, rage: UInt64, faultCount: () -> Int) {
    halveHosts(from: schedule.hosts ?? hosts)
    halveRage(from: schedule.rage ?? rage)
    if schedule.kept == nil { schedule.kept = Array(0..<faultCount()) }
    minimizeFaults()
    halveClients(from: schedule.clients ?? clients)
    stretchPauses()
    halveRage(from: schedule.rage ?? rage)
    minimizeFaults()
  }

  /// Takes `candidate` for the schedule if it fails; returns whether it does.
  private mutating func attempt(_ change: (inout Schedule) -> Void) -> Bool {
    guard !isTimeUp() else { return false }
    var candidate = schedule
    change(&candidate)
    guard candidate != schedule else { return false }
    attempts += 1
    guard fails(candidate) else { return false }
    schedule = candidate
    return true
  }

  // MARK: Numbers

  private mutating func halveHosts(from start: Int) {
    // The plan of fewer hosts is another: only a schedule that keeps all can become one of it.
    guard schedule.kept == nil else { return }
    var hosts = start
    while hosts > 1 {
      let fewer = hosts > 3 ? (hosts + 1) / 2 : hosts - 1
      guard attempt({ $0.hosts = fewer }) else { return }
      hosts = fewer
    }
  }

  private mutating func halveClients(from start: Int) {
    var clients = start
    while clients > 1, attempt({ $0.clients = clients / 2 }) { clients /= 2 }
  }

  private mutating func halveRage(from start: UInt64) {
    // To the millisecond, as the text has it.
    let step = Duration.millisecond
    var rage = start / step * step
    while rage > 100 * step, attempt({ $0.rage = rage / 2 / step * step }) {
      rage = rage / 2 / step * step
    }
  }

  private mutating func stretchPauses() {
    while schedule.pause < 64, attempt({ $0.pause *= 2 }) {}
  }

  // MARK: Faults

  private mutating func minimizeFaults() {
    guard let kept = schedule.kept, !kept.isEmpty else { return }
    if attempt({ $0.kept = [] }) { return }
    var parts = 2
    while let kept = schedule.kept, kept.count > 1, !isTimeUp() {
      let chunks = Self.split(kept, into: parts)
      if reduce(kept, chunks, &parts) { continue }
      guard parts < kept.count else { return }
      parts = min(parts * 2, kept.count)
    }
  }

  /// A part alone, or all without a part: the first that fails.
  private mutating func reduce(_ kept: [Int], _ chunks: [[Int]], _ parts: inout Int) -> Bool {
    for chunk in chunks where attempt({ $0.kept = chunk }) {
      parts = 2
      return true
    }
    guard chunks.count > 2 else { return false }
    for chunk in chunks where attempt({ $0.kept = kept.filter { !chunk.contains($0) } }) {
      parts = max(parts - 1, 2)
      return true
    }
    return false
  }

  private static func split(_ elements: [Int], into parts: Int) -> [[Int]] {
    (0..<parts).map { part in
      Array(elements[elements.count * part / parts..<elements.count * (part + 1) / parts])
    }.filter { !$0.isEmpty }
  }
}
