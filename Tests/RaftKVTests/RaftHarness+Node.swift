import RaftKV

/// What the harness keeps of an entry. The chain is a hash over the whole log up to here, so that
/// two logs agree up to an entry exactly if its chain is the same in both (Log Matching, §5.3).
struct StoredEntry: Equatable {
  let id: EntryID
  let kind: EntryKind
  let command: String
  let configuration: Configuration?
  let chain: UInt64

  init(
    id: EntryID, kind: EntryKind, command: String, configuration: Configuration? = nil,
    after chain: UInt64
  ) {
    self.id = id
    self.kind = kind
    self.command = command
    self.configuration = configuration
    var hash = chain ^ 0xcbf2_9ce4_8422_2325
    for word in [id.index.rawValue, id.term.rawValue, UInt64(kind.rawValue)] {
      hash = (hash ^ word) &* 0x100_0000_01b3
    }
    for byte in command.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    for member in configuration?.members ?? [] {
      hash = (hash ^ (member.id.rawValue * 4 + UInt64(member.role.rawValue))) &* 0x100_0000_01b3
    }
    self.chain = hash ^ (hash >> 29)
  }

  var header: EntryHeader {
    let size = configuration?.encodedSize ?? command.utf8.count
    return EntryHeader(
      term: id.term, kind: kind, size: UInt32(size), configuration: configuration)
  }
}

struct StoredSnapshot {
  var info: Raft.SnapshotInfo
  var item: ConfigurationHistory.Item
  var chain: UInt64
  var index: LogIndex { info.lastEntry.index }
}

/// A log with its entries: the driver's in memory, and the disk's.
struct StoredLog {
  enum Edit {
    case truncate(after: LogIndex)
    case append(StoredEntry)
    case reset(to: EntryID, chain: UInt64)
    case compact(through: LogIndex)
  }

  var base = EntryID.zero
  var baseChain: UInt64 = 0
  var entries: [StoredEntry] = []

  var lastEntry: EntryID { entries.last?.id ?? base }
  var lastChain: UInt64 { entries.last?.chain ?? baseChain }

  func entry(at index: LogIndex) -> StoredEntry? {
    guard index > base.index, index <= lastEntry.index else { return nil }
    return entries[index - base.index - 1]
  }

  func term(at index: LogIndex) -> Term? {
    index == base.index ? base.term : entry(at: index)?.id.term
  }

  mutating func apply(_ edit: Edit) {
    switch edit {
    case .truncate(let index):
      entries.removeLast(max(0, lastEntry.index - max(index, base.index)))
    case .append(let entry):
      precondition(entry.id.index == lastEntry.index.next, "entries follow without a gap")
      entries.append(entry)
    case .reset(let entry, let chain):
      self = StoredLog(base: entry, baseChain: chain)
    case .compact(let index):
      guard let last = entry(at: index) else { return }
      entries.removeFirst(index - base.index)
      base = last.id
      baseChain = last.chain
    }
  }
}

/// What survives a crash.
struct Disk {
  var hardState = HardState()
  var log = StoredLog()
  var snapshot: StoredSnapshot? {
    didSet { if let oldValue { replaced[oldValue.info.lastEntry] = oldValue } }
  }
  /// Snapshots before that one: who is being sent one of them gets it to the end.
  private var replaced: [EntryID: StoredSnapshot] = [:]

  func snapshot(of entry: EntryID) -> StoredSnapshot? {
    snapshot?.info.lastEntry == entry ? snapshot : replaced[entry]
  }

  /// Whether the entry, or a snapshot that holds it, is here.
  func holds(_ entry: EntryID) -> Bool {
    log.term(at: entry.index) == entry.term || snapshot.map { $0.index >= entry.index } ?? false
      || log.base.index >= entry.index
  }
}

struct Read {
  var ticket: UInt64
  var term: Term
  /// The newest index acknowledged to any client before the read was made.
  var floor: LogIndex
}

/// One process: the engine, its log, and what is on its way to the disk.
final class Node {
  let id: NodeID
  let name: String
  var raft: Raft
  var effects = Effects()
  var isUp = true
  var isDiskSlow = false
  /// How fast its clock runs, in percent of true time.
  var clockPercent: UInt64 = 100

  var disk: Disk
  var log = StoredLog()
  var unwritten: [StoredLog.Edit] = []
  var writes: [(ticket: UInt64, edits: [StoredLog.Edit])] = []
  var hardStateInFlight: HardState?
  /// A snapshot of our own on its way to the disk.
  var saving: StoredSnapshot?
  /// Chunks on their way to the disk, the content they are part of, and that content once complete.
  var storing: [SnapshotChunk] = []
  var incoming: StoredSnapshot?
  var received: StoredSnapshot?
  var snapshotBeingInstalled: StoredSnapshot?

  var applied = LogIndex.zero
  var appliedChain: UInt64 = 0
  var proposals: [LogIndex: Term] = [:]
  var reads: [Read] = []

  // What the last check saw.
  var watermarks: Raft.Watermarks?
  var checkedCommit = LogIndex.zero

  init(number: Int, disk: Disk, parameters: Parameters, seed: UInt64) {
    id = NodeID(UInt64(number))
    name = "n\(number)"
    self.disk = disk
    raft = Raft(id: id, parameters: parameters, recovered: Raft.Recovered(), seed: seed, at: .zero)
  }

  /// Recovery: a snapshot whose last entry the log lacks takes the place of the log.
  func reboot(parameters: Parameters, seed: UInt64, at now: Instant) {
    if let snapshot = disk.snapshot,
      disk.log.term(at: snapshot.index) != snapshot.info.lastEntry.term
    {
      disk.log.apply(.reset(to: snapshot.info.lastEntry, chain: snapshot.chain))
    }
    log = disk.log
    applied = disk.snapshot?.index ?? .zero
    appliedChain = disk.snapshot?.chain ?? 0
    unwritten = []
    writes = []
    hardStateInFlight = nil
    (saving, incoming, received, snapshotBeingInstalled) = (nil, nil, nil, nil)
    (storing, proposals, reads) = ([], [:], [])
    effects = Effects()
    watermarks = nil
    checkedCommit = applied
    let nothing = ConfigurationHistory.Item(index: .zero, configuration: .empty)
    raft = Raft(
      id: id, parameters: parameters,
      recovered: Raft.Recovered(
        hardState: disk.hardState, base: log.base, entries: log.entries.map(\.header),
        snapshot: disk.snapshot?.info, configuration: disk.snapshot?.item ?? nothing),
      seed: seed, at: now)
    isUp = true
  }

  func append(_ entry: StoredEntry) { edit(.append(entry)) }

  private func edit(_ edit: StoredLog.Edit) {
    log.apply(edit)
    unwritten.append(edit)
  }

  func perform(_ logEdit: LogEdit, _ packet: RaftHarness.Packet?) {
    switch logEdit {
    case .truncate(let entry):
      edit(.truncate(after: entry.index))
      proposals = proposals.filter { $0.key <= entry.index }
    case .appendReceived(let first, let count):
      for entry in packet!.entries[first..<(first + count)] { append(entry) }
    case .appendNoop(let id):
      append(StoredEntry(id: id, kind: .noop, command: "", after: log.lastChain))
    case .appendConfiguration(let id, let configuration):
      append(
        StoredEntry(
          id: id, kind: .configuration, command: "", configuration: configuration,
          after: log.lastChain))
    case .storeChunk(let chunk, _):
      storing.append(chunk)
      incoming = packet!.snapshot
    case .reset(let entry):
      let snapshot = snapshotBeingInstalled!
      snapshotBeingInstalled = nil
      edit(.reset(to: entry, chain: snapshot.chain))
      applied = entry.index
      appliedChain = snapshot.chain
      proposals = [:]
    case .compact(let entry):
      edit(.compact(through: entry.index))
    }
  }
}
