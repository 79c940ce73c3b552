import RaftKV

/// How much of a seed's run is kept: fewer hosts and clients, a shorter rage, and only some of the
/// faults that the seed has planned. As text it is what a shrunk failure shows, and what replays
/// it:
///
/// ```
/// hosts 3
/// clients 1
/// pause 4          clients wait four times as long between their requests
/// rage 12500 ms    how long faults are let loose
/// keep 17          this fault of the plan, by its position; without any `keep`, see `none`
/// ```
/// What a line does not name stays as the seed has chosen it. `none` keeps no fault at all. `#`
/// begins a comment, and a semicolon ends a line as well.
package struct Schedule: Equatable, Sendable {
  package var hosts: Int?
  package var clients: Int?
  /// Multiplies the time between two requests of one client.
  package var pause: UInt64 = 1
  /// Nanoseconds.
  package var rage: UInt64?
  /// Positions in the plan of a cluster of `hosts`, in order; nil for all of them.
  package var kept: [Int]?

  package init() {}

  // MARK: Text

  package init?(parsing text: String) {
    for line in text.split(whereSeparator: { $0 == "\n" || $0 == ";" }) {
      let words = line.prefix { $0 != "#" }.split(separator: " ")
      guard let name = words.first else { continue }
      if name == "none" {
        kept = kept ?? []
        continue
      }
      guard words.count >= 2, let value = UInt64(words[1]), value <= UInt64(Int.max) >> 20 else {
        return nil
      }
      switch name {
      case "hosts" where 1...7 ~= value: hosts = Int(value)
      case "clients" where value >= 1: clients = Int(value)
      case "pause" where value >= 1: pause = value
      case "rage": rage = value * Duration.millisecond
      case "keep": kept = (kept ?? []) + [Int(value)]
      default: return nil
      }
    }
  }

  /// The lines, each kept fault with what `plan` says of it.
  package func lines(plan: [String] = []) -> [String] {
    var lines: [String] = []
    if let hosts { lines.append("hosts \(hosts)") }
    if let clients { lines.append("clients \(clients)") }
    if pause > 1 { lines.append("pause \(pause)") }
    if let rage { lines.append("rage \(rage / Duration.millisecond) ms") }
    if let kept {
      if kept.isEmpty { lines.append("none") }
      for position in kept {
        let comment = plan.indices.contains(position) ? "  # \(plan[position])" : ""
        lines.append("keep \(position)\(comment)")
      }
    }
    return lines
  }

  // MARK: Use

  /// Before the world is made of it.
  func apply(to swarm: inout Swarm) {
    if let hosts { swarm.hostCount = min(hosts, swarm.hostCount) }
    if let clients { swarm.clientCount = min(clients, swarm.clientCount) }
    swarm.thinkTime *= pause
  }

  func faults(of plan: [PlannedFault]) -> [PlannedFault] {
    guard let kept else { return plan }
    return kept.filter { plan.indices.contains($0) }.map { plan[$0] }
  }
}

extension PlannedFault {
  /// `at the next election: kill the leader losingPower: false …`: what it waits for, its name,
  /// whom it meets, and the rest as it is.
  var words: String { (trigger.map { "at the next \($0): " } ?? "") + fault.words }
}

extension Fault {
  var words: String { Self.words(of: self) }

  fileprivate static func words(of value: Any) -> String {
    guard let (name, payload) = Mirror(reflecting: value).children.first else { return "\(value)" }
    let values = Mirror(reflecting: payload)
    guard values.displayStyle == .tuple else { return "\(name ?? "") \(payload)" }
    let words = values.children.map { label, value in
      label.map { $0.hasPrefix(".") ? "\(value)" : "\($0): \(value)" } ?? "\(value)"
    }
    return ([name ?? ""] + words).joined(separator: " ")
  }
}

extension Victim: CustomStringConvertible {
  package var description: String {
    switch self {
    case .host(let host): "n\(host + 1)"
    case .leader(let host): "the leader (or n\(host + 1))"
    case .follower(let number): "follower \(number)"
    case .subject: "whoever did it"
    case .other: "whom it was done to"
    }
  }
}

extension Cut: CustomStringConvertible {
  package var description: String {
    // What has nothing with it describes itself.
    if case .ring = self { return "ring" }
    return Fault.words(of: self)
  }
}
