import RaftKV
import Simulation
import Testing

/// What a start makes of a log that is not as it was left.
@Suite("LogRecovery")
struct LogRecoveryTests {
  /// Three entries in batches at 512, 1024 and 1536 of the first segment; the tail from 2048 is
  /// zeros.
  private func disk() throws -> SimulatedDisk {
    let disk = try LogBench.emptyDisk()
    try LogBench(disk).write(3)
    return disk
  }

  private static let first = segmentName(1)
  private static let last = 1536
  private static let tail = 2048

  /// A batch may fill a segment.
  private static var limitsOfLongBatches: LogLimits {
    var limits = LogBench.smallLimits
    limits.maximumBatchSize = limits.segmentSize - 512
    limits.keptTail = 0
    return limits
  }

  private func refusal(_ disk: SimulatedDisk, term: Term = Term(1000)) -> RecoveryError? {
    do throws(RecoveryError) {
      _ = try LogBench(disk, term: term)
      return nil
    } catch { return error }
  }

  private func isCorrupt(_ error: RecoveryError?) -> Bool {
    if case .corrupt = error { true } else { false }
  }

  @Test("a tail of zeros is where the log goes on")
  func zeroTail() throws {
    #expect(try LogBench(disk()).recoveredTerms == [1, 1, 1])
  }

  @Test(
    "a torn tail is cut",
    arguments: [
      ("a partial header", 0, 20), ("a header sector without its end", 0, 500),
      ("a body without its header", 512, 100), ("garbage in the middle", 1024, 900),
    ])
  func tornTail(_ what: String, offset: Int, count: Int) throws {
    let disk = try disk()
    let garbage = LogBench.payload(EntryID(index: LogIndex(9), term: Term(9)), size: count)
    disk.put(garbage, at: Self.tail + offset, in: Self.first)
    let bench = try LogBench(disk)
    #expect(bench.recoveredTerms == [1, 1, 1])
    bench.write(2, term: 2)
    #expect(try LogBench(disk).recoveredTerms == [1, 1, 1, 2, 2])
  }

  @Test("a last batch whose body did not make it is cut, and what was cut does not come back")
  func tornBody() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(1)
    bench.append(size: 1500)
    bench.flush()
    bench.drain()
    disk.put([UInt8](repeating: 0, count: 512), at: 1024 + 512, in: Self.first)
    #expect(try LogBench(disk).recoveredTerms == [1])
    #expect(disk.contents(of: Self.first)[1536...].allSatisfy { $0 == 0 })
  }

  @Test("data behind the largest batch that could be torn is damage")
  func farGarbage() throws {
    let disk = try disk()
    disk.put([1], at: Self.tail + LogBench.smallLimits.maximumBatchSize, in: Self.first)
    #expect(isCorrupt(refusal(disk)))
  }

  @Test("every flipped bit before the last batch is refused, whatever it hits")
  func rotInTheMiddle() throws {
    for offset in stride(from: 512, to: 512 + 64 + 24 + 40, by: 5) {
      let disk = try disk()
      disk.flipBit(offset % 8, at: offset, in: Self.first)
      #expect(isCorrupt(refusal(disk)), "offset \(offset)")
    }
  }

  @Test("a refused start has changed nothing")
  func refusalChangesNothing() throws {
    let disk = try disk()
    disk.flipBit(3, at: 600, in: Self.first)
    let before = disk.contents(of: Self.first)
    #expect(isCorrupt(refusal(disk)))
    #expect(disk.contents(of: Self.first) == before)
  }

  @Test("rot in the last batch is refused once it is sealed")
  func sealKept() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(3)
    bench.seal()
    disk.flipBit(1, at: Self.last + 70, in: Self.first)
    #expect(isCorrupt(refusal(disk)))
  }

  @Test("a lost seal costs nothing")
  func sealLost() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(3)
    bench.seal()
    disk.put([UInt8](repeating: 0, count: 512), at: Self.tail, in: Self.first)
    #expect(try LogBench(disk).recoveredTerms == [1, 1, 1])
  }

  @Test("the repetition of the last batch stands in for its first place")
  func repetition() throws {
    let disk = try disk()
    try LogBench(disk).write(1, term: 2)
    disk.put([UInt8](repeating: 0, count: 512), at: Self.last, in: Self.first)
    let bench = try LogBench(disk)
    #expect(bench.recoveredTerms == [1, 1, 1, 2])
    let payload = bench.log.withEntry(at: LogIndex(3)) { Array($0.payload) }
    #expect(payload == LogBench.payload(EntryID(index: LogIndex(3), term: Term(1)), size: 40))
  }

  @Test("a copy of a batch at another place is no batch")
  func misplacedBatch() throws {
    let disk = try disk()
    let batch = Array(disk.contents(of: Self.first)[512..<1024])
    disk.put(batch, at: Self.tail, in: Self.first)
    #expect(isCorrupt(refusal(disk)))
  }

  @Test("a segment under another segment's name is refused")
  func misdirectedSegment() throws {
    let disk = try disk()
    let contents = disk.contents(of: Self.first)
    disk.put(contents, in: segmentName(2))
    #expect(isCorrupt(refusal(disk)))
  }

  @Test("a missing segment is refused, the first, one in the middle, and all")
  func missingSegment() throws {
    for missing in [[1], [2], [1, 2, 3, 4, 5, 6, 7, 8]] {
      let disk = try LogBench.emptyDisk()
      try LogBench(disk).write(60, size: 500)
      for id in missing { disk.delete(segmentName(id)) }
      #expect(isCorrupt(refusal(disk)), "without \(missing)")
    }
  }

  @Test("a segment that lost its end is refused")
  func shortSegment() throws {
    let disk = try disk()
    let contents = disk.contents(of: Self.first)
    disk.delete(Self.first)
    disk.put(Array(contents[..<8192]), in: Self.first)
    #expect(isCorrupt(refusal(disk)))
  }

  @Test("a damaged segment header is refused as damaged, be it in the magic", arguments: [3, 30])
  func damagedSegmentHeader(byte: Int) throws {
    let disk = try disk()
    disk.flipBit(0, at: byte, in: Self.first)
    #expect(isCorrupt(refusal(disk)))
  }

  @Test("a file with a segment's name that is none, and another node's segment, are refused")
  func foreignSegment() throws {
    let disk = try disk()
    let other = SimulatedDisk(random: Random(seed: 2))
    try DataDirectory.create(
      other, identity: Identity(cluster: ClusterID(7), node: NodeID(0xdef), name: "node2"),
      configuration: nil, limits: LogBench.smallLimits, random: Random(seed: 2))
    disk.put(other.contents(of: Self.first), in: Self.first)
    guard case .foreign = refusal(disk) else {
      Issue.record("another node's segment was not refused as foreign")
      return
    }
    disk.put([UInt8](repeating: 0x41, count: 512), in: Self.first)
    #expect(isCorrupt(refusal(disk)))
  }

  @Test("a newer format is refused as such")
  func newerFormat() throws {
    let disk = try disk()
    var header = Array(disk.contents(of: Self.first)[..<512])
    header[12] = 2
    let checksum = header[12...].withUnsafeBytes { CRC32C.checksum($0) }
    withUnsafeBytes(of: checksum.littleEndian) { header.replaceSubrange(8..<12, with: $0) }
    disk.put(header, in: Self.first)
    guard case .newerFormat = refusal(disk) else {
      Issue.record("version 2 was not refused as newer")
      return
    }
  }

  @Test("a term in the log above the hard state's is refused")
  func termBelowLog() throws {
    let disk = try LogBench.emptyDisk()
    try LogBench(disk).write(3, term: 6)
    #expect(isCorrupt(refusal(disk, term: Term(5))))
    #expect(refusal(disk, term: Term(6)) == nil)
  }

  @Test("a log that begins after the snapshot ends is refused")
  func gapBehindSnapshot() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(200, size: 400)
    bench.log.compact(through: EntryID(index: LogIndex(150), term: Term(1)))
    bench.drain()
    #expect(isCorrupt(refusal(disk)))
  }

  /// A batch that fills a segment was under way when the process died: the start after that sees
  /// it in the page cache, and repeats it in the next segment. The segments before go with a
  /// snapshot, and with the power goes the first place.
  @Test("the oldest segment may have lost its only batch, if that is in the next")
  func oldestWithoutBatch() throws {
    let limits = Self.limitsOfLongBatches
    let disk = try LogBench.emptyDisk(limits: limits)
    let bench = try LogBench(disk, limits: limits)
    bench.write(1, size: 9000)
    bench.append(size: 9000)
    bench.flush()
    bench.drain()
    #expect(disk.contents(of: segmentName(2))[512...].contains { $0 != 0 })
    let again = try LogBench(disk, limits: limits)
    #expect(disk.contents(of: segmentName(3))[512...].contains { $0 != 0 })
    let snapshot = EntryID(index: LogIndex(1), term: Term(1))
    again.log.compact(through: snapshot)
    again.drain()
    #expect(!disk.names.contains(segmentName(1)) && disk.names.contains(segmentName(2)))
    let lost = [UInt8](repeating: 0, count: limits.segmentSize - 512)
    disk.put(lost, at: 512, in: segmentName(2))
    let last = try LogBench(disk, snapshot: snapshot, limits: limits)
    #expect(last.recovered.base == snapshot && last.recoveredTerms == [1])
    last.write(1, size: 9000)
    #expect(try LogBench(disk, snapshot: snapshot, limits: limits).recoveredTerms == [1, 1])
    // Once more it was repeated. Without all of its places it is missed.
    for id in [3, 4] { disk.put(lost, at: 512, in: segmentName(id)) }
    #expect(throws: RecoveryError.self) { try LogBench(disk, snapshot: snapshot, limits: limits) }
  }

  @Test("the first segment of all begins with the first batch of all, whatever the next one shows")
  func firstBatchDamaged() throws {
    let limits = Self.limitsOfLongBatches
    let disk = try LogBench.emptyDisk(limits: limits)
    let bench = try LogBench(disk, limits: limits)
    bench.write(2, size: 9000)
    disk.flipBit(0, at: 512 + 8, in: segmentName(1))
    disk.flipBit(0, at: 512 + 4000, in: segmentName(2))
    #expect(throws: RecoveryError.self) { try LogBench(disk, limits: limits) }
  }

  @Test("two spare segments, as a crash right after a rotation leaves them, are one again")
  func twoSpares() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(1)
    bench.drain()
    #expect(disk.names.contains(segmentName(2)))
    let spare = try LogBench.emptyDisk(seed: 9)
    let third = try LogBench(spare, seed: 9)
    third.write(40, size: 400)
    disk.put(spare.contents(of: segmentName(3)).prefix(512) + [], in: segmentName(3))
    disk.put([0], at: LogBench.smallLimits.segmentSize - 1, in: segmentName(3))
    let again = try LogBench(disk)
    #expect(again.recoveredTerms == [1])
    again.write(60, size: 400)
    #expect(try LogBench(disk).recovered.entries.count == 61)
  }

  @Test("unknown files are left alone, unfinished ones of ours are removed")
  func otherFiles() throws {
    let disk = try disk()
    disk.put([1, 2, 3], in: "notes.txt")
    disk.put([1, 2, 3], in: "notes.tmp")
    disk.put([1, 2, 3], in: segmentName(9) + ".tmp")
    _ = try LogBench(disk)
    #expect(disk.names.contains("notes.txt") && disk.names.contains("notes.tmp"))
    #expect(!disk.names.contains(segmentName(9) + ".tmp"))
  }

  @Test("the refusal tells the operator the procedure")
  func procedure() throws {
    let disk = try disk()
    disk.flipBit(3, at: 600, in: Self.first)
    let message = refusal(disk)?.description ?? ""
    #expect(message.contains("/remove") && message.contains("-join"))
  }
}
