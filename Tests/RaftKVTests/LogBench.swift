import RaftKV
import Simulation

/// A log on a simulated disk, with a clock that stands still: what the storage tests drive.
final class LogBench {
  static let node = NodeID(0xabc)
  static let identity = Identity(cluster: ClusterID(7), node: node, name: "node1")

  /// Segments of 16 KiB with batches of at most 4 KiB: rotation, compaction and disk reads are
  /// frequent.
  static var smallLimits: LogLimits {
    var limits = LogLimits()
    limits.segmentSize = 16 << 10
    limits.batchSize = 2 << 10
    limits.maximumBatchSize = 4 << 10
    limits.keptTail = 20 << 10
    limits.memoryTail = 8 << 10
    limits.lastReserve = 4 << 10
    limits.ballastSize = 16 << 10
    limits.preparationPiece = 4 << 10
    return limits
  }

  final class Clock {
    var now = Instant(nanoseconds: 1)
  }

  let disk: SimulatedDisk
  let clock = Clock()
  let log: LogStore<SimulatedDisk>
  let recovered: RecoveredLog
  private(set) var persisted: [UInt64] = []
  private(set) var failures: [StorageFailure] = []
  private var nextTicket: UInt64 = 1

  /// An empty directory, past its first start.
  static func emptyDisk(
    seed: UInt64 = 1, configuration: Configuration? = nil, limits: LogLimits = smallLimits
  ) throws -> SimulatedDisk {
    let disk = SimulatedDisk(random: Random(seed: seed))
    try DataDirectory.create(
      disk, identity: identity, configuration: configuration, limits: limits,
      random: Random(seed: seed))
    return disk
  }

  /// Opens the log as a start does.
  init(
    _ disk: SimulatedDisk, snapshot: EntryID = .zero, term: Term = Term(1000),
    limits: LogLimits = LogBench.smallLimits, seed: UInt64 = 1
  ) throws(RecoveryError) {
    self.disk = disk
    let clock = clock
    _ = try DataDirectory.open(disk, clock: { clock.now }, logger: .silent)
    (log, recovered) = try LogStore.recover(
      disk: disk, limits: limits, node: Self.node, hardState: HardState(currentTerm: term),
      snapshot: snapshot, random: Random(seed: seed), clock: { clock.now }, logger: .silent)
    log.didPersist = { [unowned self] ticket in persisted.append(ticket) }
    log.onFailure = { [unowned self] failure in failures.append(failure) }
  }

  /// Appends the next entry, with bytes that `term` and index decide.
  func append(term: UInt64 = 1, size: Int = 40) {
    let id = EntryID(index: log.lastEntry.index.next, term: Term(term))
    Self.payload(id, size: size).withUnsafeBytes {
      log.append(EntryRecord(kind: .command, id: id, payload: $0))
    }
  }

  static func payload(_ id: EntryID, size: Int) -> [UInt8] {
    var random = Random(seed: id.index.rawValue &* 1_000_003 &+ id.term.rawValue)
    return (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  @discardableResult
  func flush() -> UInt64 {
    defer { nextTicket += 1 }
    log.flush(ticket: nextTicket)
    return nextTicket
  }

  /// Lets everything complete that is under way.
  func drain() { while disk.step() {} }

  /// Appends `count` entries, one batch each, and waits for them.
  func write(_ count: Int, term: UInt64 = 1, size: Int = 40) {
    for _ in 0..<count {
      append(term: term, size: size)
      flush()
      drain()
    }
  }

  func seal() {
    clock.now = clock.now + .seconds(1)
    log.deadlinePassed(at: clock.now)
    drain()
  }

  /// The terms of all entries after `base`.
  var recoveredTerms: [UInt64] { recovered.entries.map(\.term.rawValue) }
}

func segmentName(_ id: Int) -> String {
  let digits = String(id, radix: 16)
  return "log-" + String(repeating: "0", count: 16 - digits.count) + digits
}
