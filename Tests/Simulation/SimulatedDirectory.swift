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

  fileprivate enum Change {
    case link(String, SimulatedFile)
    case unlink(String)
    case rename(String, String, SimulatedFile)

    var newName: String? {
      switch self {
      case .link(let name, _), .rename(_, let name, _): name
      case .unlink: nil
      }
    }
  }

  /// Files by name, and names by file: a log without snapshots has thousands of segments. Where
  /// power was lost, a file may be there under its old name and its new one.
  struct Names {
    private(set) var files: [String: SimulatedFile] = [:]
    private var owners: [ObjectIdentifier: (file: SimulatedFile, names: [String])] = [:]

    /// Tables have another order in every process; this one is the same for the same names.
    var entries: [Entry] {
      files.map { Entry(name: $0.key, file: $0.value) }.sorted { $0.name < $1.name }
    }

    func names(of file: ObjectIdentifier) -> [String] { owners[file]?.names ?? [] }

    var pageCount: Int { owners.values.reduce(0) { $0 + $1.file.pageCount } }

    func contains(_ entry: Entry) -> Bool { files[entry.name] === entry.file }

    fileprivate mutating func apply(_ change: Change) {
      switch change {
      case .link(let name, let file): put(file, name)
      case .unlink(let name): remove(name)
      case .rename(let source, let target, let file):
        remove(source)
        put(file, target)
      }
    }

    private mutating func put(_ file: SimulatedFile, _ name: String) {
      remove(name)
      files[name] = file
      owners[ObjectIdentifier(file), default: (file, [])].names.append(name)
    }

    private mutating func remove(_ name: String) {
      guard let file = files.removeValue(forKey: name) else { return }
      let left = names(of: ObjectIdentifier(file)).filter { $0 != name }
      owners[ObjectIdentifier(file)] = left.isEmpty ? nil : (file, left)
    }
  }

  private(set) var present = Names()
  private(set) var durable = Names()
  private var unsynced: [Change] = []

  func file(_ name: String) -> SimulatedFile? { present.files[name] }

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

  /// Returns what was not durable before.
  @discardableResult
  mutating func sync() -> [Entry] {
    var new: [Entry] = []
    for name in unsynced.compactMap(\.newName) {
      guard let file = present.files[name] else { continue }
      let entry = Entry(name: name, file: file)
      if !durable.contains(entry), !new.contains(entry) { new.append(entry) }
    }
    for change in unsynced { durable.apply(change) }
    unsynced.removeAll()
    return new
  }

  /// Each change that was not synced is kept or lost, in any order.
  mutating func crash(_ random: inout Random) {
    unsynced.shuffle(using: &random)
    for change in unsynced where Bool.random(using: &random) { durable.apply(change) }
    present = durable
    unsynced.removeAll()
  }

  private mutating func change(_ change: Change) {
    present.apply(change)
    unsynced.append(change)
  }
}
