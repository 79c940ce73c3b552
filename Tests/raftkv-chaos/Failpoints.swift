/// The sites and actions of a binary built with `-DFAILPOINTS` (`Support/Failpoint.swift`).
enum Failpoints {
  private static let sites = [
    "append-write", "hard-state-write", "send", "apply", "snapshot-write", "rename",
    "directory-sync", "compact", "configuration-change",
  ]
  /// Those that have a way to report an error.
  private static let fallible: Set = [
    "append-write", "hard-state-write", "snapshot-write", "rename", "directory-sync",
  ]

  /// One or two of them, as the environment variable wants it.
  static func draw(_ random: inout Seeded) -> String {
    (0..<(random.coin(0.3) ? 2 : 1)).map { _ in
      let site = sites.randomElement(using: &random)!
      let name = (random.coin(0.5) ? "before-" : "after-") + site
      // Frequent sites are passed many times a second, the others a few times in a life.
      let isFrequent = ["append-write", "send", "apply"].contains(site)
      let count = 1 + random.below(isFrequent ? 300 : 3)
      switch random.below(fallible.contains(site) ? 5 : 4) {
      case 0..<3: return "\(name)=kill@\(count)"
      case 3: return "\(name)=delay:\(50 + random.below(700))ms@\(count)"
      default: return "\(name)=error@\(count)"
      }
    }.joined(separator: ";")
  }
}
