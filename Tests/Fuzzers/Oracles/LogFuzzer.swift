import RaftKV
import Simulation

/// A node's log, left sound, then damaged as the input says, also with checksums made right again.
///
/// Rules: a start refuses and has changed nothing, or accepts; what it accepted, the next start
/// accepts alike, and so it does with what was then appended.
package enum LogFuzzer: Fuzzer {
  package static let name = "log"
  private static let node = NodeID(0xabc)

  package static func judge(_ input: [UInt8]) throws {
    var script = Script(input)
    let disk = disk(Int(script.byte()))
    defer { disk.crash() }  // What is under way holds the log, which holds the disk.
    let snapshot = EntryID(index: LogIndex(script.number()), term: Term(script.number()))
    while !script.isAtEnd { damage(disk, &script) }
    let before = image(of: disk)
    guard let first = try recover(disk, snapshot) else {
      return try require(image(of: disk) == before, "a refused start has changed something")
    }
    let last = first.log.lastEntry
    try require(last.index <= LogIndex(FrameCodec.maximumCounter), "an index no log gets to")
    disk.crash(losingPower: false)
    guard let second = try recover(disk, snapshot) else {
      throw BrokenRule("accepted, and refused by the next start")
    }
    try require(second.recovered == first.recovered, "the next start has another log")
    let id = EntryID(index: last.index.next, term: max(last.term, Term(3)))
    second.log.append(EntryRecord(kind: .noop, id: id, payload: .init(start: nil, count: 0)))
    var isDurable = false
    second.log.didPersist = { _ in isDurable = true }
    second.log.flush(ticket: 1)
    while disk.step() {}
    try require(isDurable, "an entry was not written")
    disk.crash(losingPower: true)
    guard let third = try recover(disk, snapshot) else {
      throw BrokenRule("appended to, and refused by the next start")
    }
    let entries = first.recovered.entries + [EntryHeader(term: id.term, kind: .noop, size: 0)]
    try require(third.recovered.entries == entries, "the next start lacks what was appended")
  }

  private typealias Start = (log: LogStore<SimulatedDisk>, recovered: RecoveredLog)

  private static func recover(_ disk: SimulatedDisk, _ snapshot: EntryID) throws -> Start? {
    do throws(RecoveryError) {
      return try LogStore.recover(
        disk: disk, limits: .fuzzed, node: node, hardState: HardState(currentTerm: Term(1000)),
        snapshot: snapshot, random: Random(seed: 1), clock: { .zero }, logger: .silent)
    } catch {
      if case .io = error { throw BrokenRule("\(error)") }
      return nil
    }
  }

  private static func image(of disk: SimulatedDisk) -> [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: disk.names.map { ($0, disk.contents(of: $0)) })
  }

  // MARK: Sound logs

  private static func disk(_ choice: Int) -> SimulatedDisk {
    let disk = SimulatedDisk(random: Random(seed: 1))
    for (name, bytes) in images[choice % images.count] { disk.put(bytes, in: name) }
    return disk
  }

  /// A fresh log; one of three batches; one that was truncated, sealed and rotated.
  private static let images: [[(String, [UInt8])]] = (0..<3).map { choice in
    let disk = SimulatedDisk(random: Random(seed: 1))
    let identity = Identity(cluster: ClusterID(7), node: node, name: "n1")
    try! DataDirectory.create(
      disk, identity: identity, configuration: PeerFuzzer.configuration, limits: .fuzzed,
      random: Random(seed: 1))
    let start = try! recover(disk, .zero)!
    let sizes = [[], [10, 600, 20], [1500, 1500, 1500, 1500, 1500]][choice]
    for (position, size) in sizes.enumerated() {
      if choice == 2, position == 2 {
        start.log.truncate(after: EntryID(index: LogIndex(2), term: Term(1)))
      }
      let id = EntryID(
        index: start.log.lastEntry.index.next, term: Term(choice == 2 && position > 1 ? 2 : 1))
      [UInt8](repeating: 7, count: size).withUnsafeBytes {
        start.log.append(EntryRecord(kind: .command, id: id, payload: $0))
      }
      start.log.flush(ticket: UInt64(position + 1))
      while disk.step() {}
    }
    start.log.deadlinePassed(at: .zero + .seconds(1))
    while disk.step() {}
    return disk.names.filter { $0.hasPrefix("log-") }.sorted().map { ($0, disk.contents(of: $0)) }
  }

  // MARK: Damage

  private static func damage(_ disk: SimulatedDisk, _ script: inout Script) {
    let names = disk.names.sorted()
    guard !names.isEmpty else {
      script = Script([])
      return
    }
    let operation = script.byte()
    let name = names[Int(script.byte()) % names.count]
    var bytes = disk.contents(of: name)
    let offset = (Int(script.byte()) | Int(script.byte()) << 8) % max(bytes.count, 1)
    switch operation % 9 {
    case 0: if offset < bytes.count { bytes[offset] ^= 1 << (script.byte() & 7) }
    case 1: put([UInt8](repeating: 0, count: Int(script.byte()) * 16), at: offset, in: &bytes)
    case 2: put(script.run(limit: 600), at: offset, in: &bytes)
    case 3:
      let source = Int(script.byte()) * 512
      put(Array(bytes.dropFirst(source).prefix(512)), at: offset / 512 * 512, in: &bytes)
    case 4: put(withUnsafeBytes(of: script.number(), Array.init), at: offset, in: &bytes)
    case 5: sealBatch(at: offset / 512 * 512, withRecords: script.flag(), in: &bytes)
    case 6: sealSector(&bytes)
    case 7: bytes.removeLast(bytes.count - offset)
    default:
      disk.delete(name)
      return
    }
    disk.delete(name)
    disk.put(bytes, in: name)
  }

  private static func put(_ piece: [UInt8], at offset: Int, in bytes: inout [UInt8]) {
    for (position, byte) in piece.enumerated() where offset + position < bytes.count {
      bytes[offset + position] = byte
    }
  }

  /// Makes a batch's checksums right: the seed of the header's is the segment's own.
  private static func sealBatch(at offset: Int, withRecords: Bool, in bytes: inout [UInt8]) {
    guard bytes.count >= 512, offset + 64 <= bytes.count else { return }
    let length = bytes.withUnsafeBytes {
      Int($0.loadUnaligned(fromByteOffset: offset + 24, as: UInt32.self))
    }
    if withRecords, length >= 64, offset + length <= bytes.count {
      put(checksum(bytes[(offset + 64)..<(offset + length)]), at: offset + 28, in: &bytes)
    }
    let seed = bytes[12..<512].withUnsafeBytes { CRC32C.checksum($0) }
    put(
      checksum(bytes[(offset + 8)..<(offset + 64)], continuing: seed), at: offset + 4, in: &bytes)
  }

  private static func sealSector(_ bytes: inout [UInt8]) {
    guard bytes.count >= 512 else { return }
    put(checksum(bytes[12..<512]), at: 8, in: &bytes)
  }

  private static func checksum(_ bytes: ArraySlice<UInt8>, continuing seed: UInt32 = 0) -> [UInt8] {
    let checksum = bytes.withUnsafeBytes { CRC32C.checksum($0, continuing: seed) }
    return withUnsafeBytes(of: checksum.littleEndian, Array.init)
  }

  package static var seeds: [[UInt8]] {
    [
      [0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 0, 0, 0, 0, 70, 2, 1], [1, 0, 0, 1, 0, 0, 8, 32],
      [1, 0, 0, 4, 0, 40, 4, 9, 5, 0, 0, 4, 1], [2, 0, 0, 3, 0, 0, 10, 4],
      [1, 0, 0, 2, 0, 0, 8, 3, 0, 1, 2, 3], [1, 5, 1], [2, 0, 0, 8, 0], [2, 0, 0, 7, 1, 0, 2],
      [1, 0, 0, 4, 0, 24, 0, 9, 6, 0, 0, 0], [1, 0, 0, 4, 0, 72, 4, 255, 5, 0, 0, 4, 1],
    ]
  }
}

extension LogLimits {
  /// Segments of 16 KiB with batches of at most 4 KiB, so that the log rotates.
  static var fuzzed: LogLimits {
    var limits = LogLimits()
    limits.segmentSize = 16 << 10
    limits.batchSize = 2 << 10
    limits.maximumBatchSize = 4 << 10
    limits.memoryTail = 8 << 10
    limits.lastReserve = 4 << 10
    limits.ballastSize = 16 << 10
    limits.preparationPiece = 16 << 10
    return limits
  }
}
