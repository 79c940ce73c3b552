/// The sites and actions of a binary built with `-DFAILPOINTS` (`Support/Failpoint.swift`), dealt
/// like cards: every combination comes before any comes again, and those that no node has passed
/// come first.
final class Failpoints {
  private static let sites = [
    "append-write", "hard-state-write", "send", "apply", "snapshot-write", "rename",
    "directory-sync", "compact", "configuration-change",
  ]
  /// Those that have a way to report an error.
  private static let fallible: Set = [
    "append-write", "hard-state-write", "snapshot-write", "rename", "directory-sync",
  ]
  /// Passed many times a second; the others a few times in a life.
  private static let frequent: Set = ["append-write", "send", "apply"]

  struct Card: Hashable {
    var site: String
    var moment: String
    var action: String

    /// As a node says it when the card was played: `failpoint before-send: kill`.
    var mark: String { "failpoint \(moment)-\(site): \(action)" }
  }

  let all: [Card]
  private var deck: [Card] = []
  /// What nodes said they passed.
  private(set) var played: Set<Card> = []

  init() {
    all = Self.sites.flatMap { site in
      ["before", "after"].flatMap { moment in
        ["kill", "delay", "error"].compactMap { action in
          action == "error" && !Self.fallible.contains(site)
            ? nil : Card(site: site, moment: moment, action: action)
        }
      }
    }
  }

  /// For the environment variable of one start.
  func draw(_ random: inout Seeded) -> String {
    if deck.isEmpty { deck = (missing.isEmpty ? all : missing).shuffled(using: &random) }
    let card = deck.removeLast()
    let count = 1 + random.below(Self.frequent.contains(card.site) ? 200 : 2)
    let delay = 50 + random.below(700)
    let action = card.action == "delay" ? "delay:\(delay)ms" : card.action
    return "\(card.moment)-\(card.site)=\(action)@\(count)"
  }

  /// Looks through what a node has written.
  func read(_ log: String) {
    for card in all where log.contains(card.mark) { played.insert(card) }
  }

  var missing: [Card] { all.filter { !played.contains($0) } }
}
