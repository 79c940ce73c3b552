import Testing

@testable import RaftKV
@testable import Simulation

@Suite("SegmentPreparer")
struct SegmentPreparerTests {
  private final class Bench {
    let disk = SimulatedDisk(random: Random(seed: 1))
    let limits = LogBench.smallLimits
    var now = Instant.zero
    var prepared = 0
    var failures: [Int32] = []
    private(set) var preparer: SegmentPreparer<SimulatedDisk>!

    init() {
      preparer = SegmentPreparer(
        disk: disk, limits: limits, node: LogBench.node, random: Random(seed: 2), spare: nil,
        clock: { [unowned self] in now })
      preparer.didPrepare = { [unowned self] in prepared += 1 }
      preparer.didFail = { [unowned self] in failures.append($0.code) }
    }

    func prepare(_ id: UInt64) {
      preparer.prepare(id)
      drain()
    }

    func drain() { while disk.step() {} }
  }

  @Test("a spare is a header and zeros, durable when it is told, and handed out once")
  func spare() throws {
    let bench = Bench()
    bench.prepare(7)
    #expect(bench.prepared == 1 && bench.failures.isEmpty && bench.disk.openFiles == 1)
    let segment = try #require(bench.preparer.takeSpare())
    #expect(bench.preparer.takeSpare() == nil)
    bench.disk.crash()
    #expect(bench.disk.names == [segmentName(7)])
    let bytes = bench.disk.contents(of: segmentName(7))
    #expect(bytes.count == bench.limits.segmentSize)
    #expect(bytes[LogFormat.sectorSize...].allSatisfy { $0 == 0 })
    try bytes.withUnsafeBytes {
      let header = try SegmentHeader.decode($0)
      #expect(header.id == 7 && header.node == LogBench.node && header.size == bytes.count)
      #expect(header.largestBatch == bench.limits.maximumBatchSize)
      #expect(segment.seed == CheckedSector.checksum($0), "its batches belong to this file alone")
    }
    #expect(segment.id == 7 && segment.end == LogFormat.sectorSize)
  }

  @Test("for large batches space is allocated; where that cannot be done, zeros are written")
  func allocated() throws {
    for canAllocate in [true, false] {
      let bench = Bench()
      bench.disk.canAllocate = canAllocate
      bench.preparer.isForLargeBatches = true
      var writes = 0
      bench.disk.fault = { access, _ in
        if access == .write { writes += 1 }
        return nil
      }
      bench.prepare(3)
      #expect(bench.prepared == 1 && bench.failures.isEmpty)
      #expect(canAllocate ? writes == 1 : writes > 1, "the header, and zeros")
      bench.disk.crash()
      let bytes = bench.disk.contents(of: segmentName(3))
      #expect(bytes.count == bench.limits.segmentSize)
      #expect(bytes[LogFormat.sectorSize...].allSatisfy { $0 == 0 })
      // Either way its space is taken: no later write can find none.
      let segment = try bench.disk.open(segmentName(3), .durable)
      bench.disk.fill(leaving: 0)
      let block = [UInt8](repeating: 1, count: 4096)
      try block.withUnsafeBytes { try bench.disk.write(segment, at: bytes.count - 4096, $0) }
    }
  }

  @Test("one at a time, none while there is a spare, none into space that is spoken for")
  func restraint() {
    let bench = Bench()
    bench.preparer.prepare(1)
    bench.prepare(2)
    #expect(bench.disk.names == [segmentName(1)])
    bench.prepare(2)
    #expect(bench.disk.names == [segmentName(1)])
    _ = bench.preparer.takeSpare()
    bench.preparer.isPaused = true
    bench.prepare(2)
    #expect(bench.disk.names == [segmentName(1)])
    bench.preparer.isPaused = false
    bench.prepare(2)
    #expect(bench.disk.names == [segmentName(1), segmentName(2)] && bench.prepared == 2)
  }

  @Test("a full disk is asked again after the interval, or as soon as space may be back (G3)")
  func fullDisk() {
    let bench = Bench()
    bench.disk.quota = bench.limits.segmentSize - 1
    bench.prepare(1)
    #expect(bench.preparer.isOutOfSpace && bench.failures.isEmpty && bench.disk.names.isEmpty)
    #expect(bench.preparer.retryDeadline == bench.now + bench.limits.retryInterval)
    let before = bench.disk.accessCount
    bench.prepare(1)
    #expect(bench.disk.accessCount == before, "it is not time yet")
    bench.now = bench.now + bench.limits.retryInterval
    bench.prepare(1)
    #expect(bench.disk.accessCount == before + 1 && bench.preparer.isOutOfSpace)
    bench.disk.quota = nil
    bench.preparer.expectSpace()
    bench.prepare(1)
    #expect(bench.preparer.spare?.id == 1 && !bench.preparer.isOutOfSpace)
    #expect(bench.preparer.retryDeadline == nil)
  }

  @Test(
    "space and descriptors come back, and are waited for (G3, G15)",
    arguments: [
      (DiskAccess.write, 28 as Int32), (.write, 122), (.sync, 28), (.open, 23), (.open, 24),
    ] as [(DiskAccess, Int32)])
  func scarcity(_ failing: DiskAccess, _ code: Int32) {
    let bench = Bench()
    bench.disk.fault = { access, _ in access == failing ? code : nil }
    bench.prepare(1)
    #expect(bench.preparer.isOutOfSpace && bench.preparer.retryDeadline != nil)
    #expect(bench.failures.isEmpty && bench.prepared == 0)
    #expect(bench.disk.names.isEmpty && bench.disk.openFiles == 0)
  }

  @Test(
    "any other error is told, and nothing is planned after it (G2)",
    arguments: [DiskAccess.freeSpace, .open, .write, .sync, .rename, .syncDirectory])
  func failure(_ failing: DiskAccess) {
    let bench = Bench()
    bench.disk.fault = { access, _ in access == failing ? 5 : nil }
    bench.prepare(1)
    #expect(bench.failures == [5] && bench.prepared == 0)
    #expect(!bench.preparer.isOutOfSpace && bench.preparer.retryDeadline == nil)
    #expect(bench.preparer.spare == nil)
  }
}
