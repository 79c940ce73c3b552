import RaftKV

/// The names of a simulated disk: as the page cache has them, and as the platters do.
struct SimulatedDirectory {
  struct Entry: Equatable {
    var name: String
    var file: SimulatedFile

    static func == (left: Entry, right: Entry) -> Bool {
      left.file === right.file && left.name == right.name
    }
  }

  private enum Change {
    case link(String, SimulatedFile)
    case unlink(String)
    case rename(String, String, SimulatedFile)
  }

  /// In no order that means anything, but the same for the same calls. Linear: a node has a
  /// handful.
  private(set) var entries: [Entry] = []
  private(set) var durable: [Entry] = []
  private var unsynced: [Change] = []

  func file(_ name: String) -> SimulatedFile? { entries.first { $0.name == name }?.file }

  mutating func link(_ name: String, _ file: SimulatedFile) {
    change(.link(name, file))
  }

  mutating func unlink(_ name: String) -> Bool {
    guard file(name) != nil else { return false }
    change(.unlink(name))
    return true
  }

  mutating func rename(_ source: String, to target: String) -> Bool {
    guard let file = file(source) else { return false }
    change(.rename(source, target, file))
    return true
  }

  /// Returns whether there was anything to be made durable.
  @discardableResult
  mutating func sync() -> Bool {
    guard !unsynced.isEmpty else { return false }
    durable = entries
    unsynced.removeAll()
    return true
  }

  /// Each change that was not synced is kept or lost, in any order.
  mutating func crash(_ random: inout Random) {
    unsynced.shuffle(using: &random)
    entries = durable
    for change in unsynced where Bool.random(using: &random) { Self.apply(change, to: &entries) }
    durable = entries
    unsynced.removeAll()
  }

  private mutating func change(_ change: Change) {
    Self.apply(change, to: &entries)
    unsynced.append(change)
  }

  private static func apply(_ change: Change, to entries: inout [Entry]) {
    switch change {
    case .link(let name, let file):
      entries.removeAll { $0.name == name }
      entries.append(Entry(name: name, file: file))
    case .unlink(let name):
      entries.removeAll { $0.name == name }
    case .rename(let source, let target, let file):
      entries.removeAll { $0.name == source || $0.name == target }
      entries.append(Entry(name: target, file: file))
    }
  }
}
