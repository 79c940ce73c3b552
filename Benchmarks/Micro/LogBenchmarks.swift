import Glibc
import RaftKV
import Simulation

/// The log, from `append` to durable: on a simulated disk, which shows what the log itself costs,
/// and on the real one in the current directory.
enum LogBenchmarks {
  static func run(_ measurement: Measurement) throws {
    for batch in [1, 64] {
      let log = try SimulatedLog()
      measurement.measure("log, simulated disk, \(batch) a write", operations: 6_400) { count in
        for _ in 0..<count / batch { log.write(batch) }
      }
    }
    for batch in [1, 64] {
      let log = try RealLog()
      defer { log.close() }
      let operations = batch == 1 ? 2_000 : 64_000
      measurement.measure("log, real disk, \(batch) a write", operations: operations) { count in
        log.write(writes: count / batch, of: batch)
      }
    }
  }
}

extension LogStore {
  /// A log in an empty directory.
  fileprivate static func make(
    on disk: D, limits: LogLimits, clock: @escaping () -> Instant
  ) throws -> LogStore<D> {
    let identity = Identity(cluster: ClusterID(1), node: NodeID(1), name: "node1")
    try DataDirectory.create(
      disk, identity: identity, configuration: nil, limits: limits, random: Random(seed: 1))
    let opened = try DataDirectory.open(disk, clock: clock, logger: .silent)
    return try recover(
      disk: disk, limits: limits, node: identity.node, hardState: opened.hardState.durable,
      snapshot: .zero, random: Random(seed: 2), clock: clock, logger: .silent
    ).0
  }

  /// Hands over one batch of so many records.
  fileprivate func write(_ count: Int, of payload: UnsafeRawBufferPointer, ticket: UInt64) {
    appliedIndex = lastEntry.index
    for _ in 0..<count {
      let id = EntryID(index: lastEntry.index.next, term: .zero)
      append(EntryRecord(kind: .command, id: id, payload: payload))
    }
    flush(ticket: ticket)
  }
}

private let payload = [UInt8](repeating: 118, count: 160)

private final class SimulatedLog {
  private let disk = SimulatedDisk(random: Random(seed: 1))
  private let log: LogStore<SimulatedDisk>
  private var ticket: UInt64 = 0
  private var persisted: UInt64 = 0

  init() throws {
    var limits = LogLimits()
    limits.segmentSize = 16 << 20
    limits.ballastSize = 0
    log = try .make(on: disk, limits: limits) { Instant(nanoseconds: 1) }
    log.didPersist = { [unowned self] in persisted = $0 }
  }

  func write(_ count: Int) {
    ticket += 1
    payload.withUnsafeBytes { log.write(count, of: $0, ticket: ticket) }
    while persisted < ticket { precondition(disk.step(), "the disk has something to do") }
  }
}

private final class RealLog {
  private let directory: String
  private let loop: EventLoop
  private let disk: UVDisk
  private let log: LogStore<UVDisk>
  private var ticket: UInt64 = 0
  private var persisted: UInt64 = 0

  init() throws {
    directory = "raftkv-bench-\(getpid())"
    loop = try EventLoop()
    var limits = LogLimits()
    limits.ballastSize = 0
    disk = try UVDisk(loop, directory: directory)
    log = try .make(on: disk, limits: limits) { EventLoop.now }
    log.didPersist = { [unowned self] in persisted = $0 }
  }

  /// One write after the other, each once the one before is durable.
  func write(writes: Int, of count: Int) {
    var left = writes
    loop.endOfTurn = { [unowned self] in
      guard persisted == ticket else { return }
      guard left > 0 else { return loop.stop() }
      left -= 1
      ticket += 1
      payload.withUnsafeBytes { log.write(count, of: $0, ticket: ticket) }
    }
    loop.requestAnotherTurn()
    loop.run()
  }

  func close() {
    loop.close()
    for name in (try? disk.list()) ?? [] { unlink("\(directory)/\(name)") }
    rmdir(directory)
  }
}
