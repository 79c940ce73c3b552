import RaftKV
import Simulation
import Testing

@Suite("LogStore")
struct LogStoreTests {
  @Test("what was persisted is there after a restart, with its payloads")
  func restart() throws {
    let disk = try LogBench.emptyDisk()
    let first = try LogBench(disk)
    first.write(5, term: 1)
    first.write(3, term: 2, size: 700)
    #expect(first.persisted == Array(1...8))
    disk.crash()
    let second = try LogBench(disk)
    #expect(second.recoveredTerms == [1, 1, 1, 1, 1, 2, 2, 2])
    #expect(second.recovered.base == .zero)
    let id = EntryID(index: LogIndex(7), term: Term(2))
    let payload = second.log.withEntry(at: id.index) { Array($0.payload) }
    #expect(payload == LogBench.payload(id, size: 700))
  }

  @Test("entries appended while a write is under way go out together, and tickets come in order")
  func groupCommit() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.drain()
    bench.append()
    bench.flush()
    let before = disk.accessCount
    for _ in 0..<20 {
      bench.append()
      bench.flush()
    }
    #expect(bench.persisted.isEmpty)
    bench.drain()
    #expect(bench.persisted == Array(1...21))
    #expect(disk.accessCount - before == 2, "one write for the first entry, one for all the others")
  }

  @Test("a ticket with nothing to wait for is reported at once")
  func emptyTicket() throws {
    let bench = try LogBench(LogBench.emptyDisk())
    bench.flush()
    #expect(bench.persisted == [1])
  }

  @Test("nothing is written while the log is held, and all of it afterwards")
  func held() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.drain()
    bench.log.isHeld = true
    bench.append()
    bench.flush()
    #expect(disk.isIdle && bench.persisted.isEmpty)
    bench.log.isHeld = false
    bench.drain()
    #expect(bench.persisted == [1])
  }

  @Test("a truncation and the entries that replace the suffix survive together")
  func truncation() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(6, term: 1)
    bench.log.truncate(after: EntryID(index: LogIndex(3), term: Term(1)))
    #expect(bench.log.lastEntry.index == LogIndex(3))
    bench.append(term: 4)
    bench.flush()
    bench.drain()
    disk.crash()
    #expect(try LogBench(disk).recoveredTerms == [1, 1, 1, 4])
  }

  @Test("truncating what was never written leaves no trace of it")
  func truncationInMemory() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    for _ in 0..<5 { bench.append(term: 1) }
    bench.log.truncate(after: EntryID(index: LogIndex(2), term: Term(1)))
    bench.append(term: 2)
    bench.log.truncate(after: EntryID(index: LogIndex(2), term: Term(1)))
    bench.append(term: 3)
    bench.flush()
    bench.drain()
    #expect(try LogBench(disk).recoveredTerms == [1, 1, 3])
  }

  @Test("an entry larger than a batch is a batch of its own")
  func largeEntry() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.append(size: 10)
    bench.append(size: LogBench.smallLimits.maximumRecordSize - EntryRecord.headerSize)
    bench.append(size: 10)
    bench.flush()
    bench.drain()
    #expect(bench.persisted == [1])
    #expect(try LogBench(disk).recovered.entries.map(\.size) == [10, 4008, 10])
  }

  @Test("copied records are contiguous, whole, and bounded in bytes but for the first")
  func copyRecords() throws {
    let bench = try LogBench(LogBench.emptyDisk())
    bench.write(4, size: 100)
    for _ in 0..<4 { bench.append(size: 100) }
    var buffer = ByteBuffer()
    let last = bench.log.copyRecords(
      from: LogIndex(2), through: LogIndex(8), maxBytes: 5 * 124, into: &buffer)
    #expect(last == LogIndex(6))
    var reader = ByteReader(buffer.readable)
    var indexes: [UInt64] = []
    while let record = reader.readEntry() { indexes.append(record.id.index.rawValue) }
    #expect(indexes == [2, 3, 4, 5, 6] && reader.isAtEnd)

    buffer.clear()
    let one = bench.log.copyRecords(
      from: LogIndex(7), through: LogIndex(8), maxBytes: 1, into: &buffer)
    #expect(one == LogIndex(7) && buffer.count == 124)
    let none = bench.log.copyRecords(
      from: LogIndex(9), through: LogIndex(9), maxBytes: 100, into: &buffer)
    #expect(none == nil)
  }

  @Test("applied entries leave memory beyond its limit, and are read from disk")
  func readRecords() throws {
    let bench = try LogBench(LogBench.emptyDisk())
    bench.write(40, size: 400)
    bench.log.appliedIndex = LogIndex(40)
    #expect(bench.log.memoryBytes <= LogBench.smallLimits.memoryTail)
    #expect(bench.log.withEntry(at: LogIndex(3)) { _ in true } == nil)
    var read: [UInt8]?
    bench.log.readRecords(from: LogIndex(3), through: LogIndex(9), maxBytes: 1 << 20) { slice in
      guard let slice else { return }
      var reader = ByteReader(slice.records)
      read = reader.readEntry().map { Array($0.payload) }
    }
    bench.drain()
    #expect(read == LogBench.payload(EntryID(index: LogIndex(3), term: Term(1)), size: 400))
  }

  @Test("entries that are not applied stay in memory, whatever its limit")
  func unappliedStay() throws {
    let bench = try LogBench(LogBench.emptyDisk())
    bench.write(40, size: 400)
    #expect(bench.log.withEntry(at: LogIndex(1)) { _ in true } == true)
  }

  @Test("rot in our own log stops the node when it is read, once")
  func readingRot() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(40, size: 400)
    bench.log.appliedIndex = LogIndex(40)
    disk.flipBit(0, at: 512 + 200, in: segmentName(1))
    var answers = 0
    for _ in 0..<2 {
      bench.log.readRecords(from: LogIndex(1), through: LogIndex(1), maxBytes: 1 << 20) { slice in
        #expect(slice == nil)
        answers += 1
      }
    }
    bench.drain()
    #expect(answers == 2)
    #expect(bench.failures.count == 1 && bench.failures[0].isCorruption)
  }

  @Test("compaction removes whole segments, keeps the tail, and survives a restart")
  func compaction() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(200, size: 400)
    let snapshot = EntryID(index: LogIndex(150), term: Term(1))
    bench.log.compact(through: snapshot)
    bench.drain()
    #expect(!disk.names.contains(segmentName(1)))
    #expect(bench.log.base.index > .zero && bench.log.base.index <= snapshot.index)
    #expect(bench.log.bytesSinceSnapshot >= 50 * 424)
    #expect(bench.log.bytesSinceSnapshot <= 60 * 424)
    disk.crash()
    let again = try LogBench(disk, snapshot: snapshot)
    #expect(again.recovered.base == bench.log.base)
    #expect(again.log.lastEntry.index == LogIndex(200))
  }

  @Test("a reset replaces the log by the snapshot's last entry, and old segments go")
  func reset() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(100, size: 400)
    let snapshot = EntryID(index: LogIndex(500), term: Term(9))
    bench.log.reset(to: snapshot)
    bench.append(term: 9)
    bench.flush()
    bench.drain()
    #expect(!disk.names.contains(segmentName(1)))
    disk.crash()
    let again = try LogBench(disk, snapshot: snapshot)
    #expect(again.recovered.base == snapshot)
    #expect(again.recoveredTerms == [9])
  }

  @Test("a crash between an installed snapshot and the reset: the log gives way at the start")
  func resetLost() throws {
    let disk = try LogBench.emptyDisk()
    try LogBench(disk).write(10, term: 1)
    let snapshot = EntryID(index: LogIndex(7), term: Term(5))
    let bench = try LogBench(disk, snapshot: snapshot)
    #expect(bench.recovered == RecoveredLog(base: snapshot, entries: []))
    bench.write(1, term: 5)
    #expect(try LogBench(disk, snapshot: snapshot).recoveredTerms == [5])
  }

  @Test("a snapshot that the log has keeps the log's suffix")
  func suffixKept() throws {
    let disk = try LogBench.emptyDisk()
    try LogBench(disk).write(10, term: 1)
    let bench = try LogBench(disk, snapshot: EntryID(index: LogIndex(7), term: Term(1)))
    #expect(bench.log.lastEntry.index == LogIndex(10) && bench.recovered.base == .zero)
  }

  @Test("short writes are completed before anything is acknowledged")
  func shortWrites() throws {
    let disk = try LogBench.emptyDisk()
    disk.shortWrites = 200
    try LogBench(disk).write(60, size: 300)
    disk.crash()
    #expect(try LogBench(disk).recovered.entries.count == 60)
  }

  @Test("a failed write is reported once, and nothing is acknowledged after it")
  func failedWrite() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.write(3)
    disk.fault = { access, name in access == .write && name == segmentName(1) ? 5 : nil }
    bench.write(3)
    disk.fault = { _, _ in nil }
    bench.write(3)
    #expect(bench.persisted == [1, 2, 3])
    #expect(bench.failures.count == 1)
  }

  @Test("a full disk is known before a write fails, and is over when there is space again")
  func fullDisk() throws {
    let disk = try LogBench.emptyDisk()
    disk.quota = 120 << 10
    let bench = try LogBench(disk)
    var count = 0
    while !bench.log.isFull, count < 1000 {
      bench.write(1, size: 400)
      count += 1
    }
    #expect(bench.log.isFull && bench.failures.isEmpty && bench.persisted.count == count)
    bench.write(2, size: 400)
    #expect(bench.persisted.count == count + 2, "the reserve takes what keeps the cluster going")
    bench.write(20, size: 400)
    #expect(bench.persisted.count < count + 22, "what has no room waits; it does not fail")

    disk.quota = nil
    bench.clock.now = bench.clock.now + LogBench.smallLimits.retryInterval
    bench.log.deadlinePassed(at: bench.clock.now)
    bench.drain()
    #expect(bench.persisted.count == count + 22 && !bench.log.isFull && bench.failures.isEmpty)
  }

  @Test("segments are allocated while batches are large, and filled while they are not")
  func largeBatches() throws {
    var limits = LogBench.smallLimits
    limits.largeBatch = 1024
    let bench = try LogBench(try LogBench.emptyDisk(limits: limits), limits: limits)
    var allocated = 0
    bench.disk.fault = { access, _ in
      if access == .allocate { allocated += 1 }
      return nil
    }
    bench.write(100, size: 400)
    #expect(allocated == 0)
    bench.write(40, size: 2000)
    #expect(allocated > 0)
    bench.write(60, size: 40)
    allocated = 0
    bench.write(100, size: 40)
    #expect(allocated == 0 && bench.failures.isEmpty && bench.persisted.count == 300)
    let last = bench.log.lastEntry
    bench.disk.crash()
    #expect(try LogBench(bench.disk, limits: limits).log.lastEntry == last)
  }

  @Test("on a full disk the ballast makes room for a snapshot, and compaction for segments")
  func ballast() throws {
    let disk = try LogBench.emptyDisk()
    disk.quota = 170 << 10
    let bench = try LogBench(disk)
    bench.drain()
    #expect(disk.names.contains("ballast"))
    while !bench.log.isFull { bench.write(1, size: 400) }
    bench.log.releaseBallast {}
    bench.drain()
    #expect(!disk.names.contains("ballast"))
    bench.log.compact(through: bench.log.lastEntry)
    bench.drain()
    #expect(!bench.log.isFull && disk.names.contains("ballast"))
  }

  @Test("an idle log is sealed once, and a busy one is not")
  func seal() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.drain()
    #expect(bench.log.deadline == nil)
    bench.write(1)
    #expect(bench.log.deadline == bench.clock.now + LogBench.smallLimits.sealDelay)
    bench.seal()
    #expect(bench.log.deadline == nil)
    #expect(disk.contents(of: segmentName(1))[1024..<1028].elementsEqual("RKVB".utf8))
    let again = try LogBench(disk)
    #expect(again.log.deadline == nil && again.recoveredTerms == [1])
  }

  @Test("the start of a write under way is known, so that a hung disk is seen")
  func hungDisk() throws {
    let bench = try LogBench(LogBench.emptyDisk())
    bench.drain()
    #expect(bench.log.stalledSince == nil)
    bench.append()
    bench.flush()
    #expect(bench.log.stalledSince == bench.clock.now)
    bench.drain()
    #expect(bench.log.stalledSince == nil)
  }

  @Test("the start of reads under way is known as well, until one of them comes back")
  func hungReads() throws {
    let bench = try LogBench(LogBench.emptyDisk())
    bench.write(40, size: 400)
    bench.log.appliedIndex = LogIndex(40)
    bench.drain()
    #expect(bench.log.stalledSince == nil)
    let start = bench.clock.now
    var answers = 0
    for index in [LogIndex(1), LogIndex(3)] {
      bench.log.readRecords(from: index, through: index, maxBytes: 1 << 20) { _ in answers += 1 }
      bench.clock.now = bench.clock.now + .seconds(1)
    }
    #expect(bench.log.stalledSince == start)
    while answers == 0 { #expect(bench.disk.step()) }
    #expect(bench.log.stalledSince == bench.clock.now)
    bench.drain()
    #expect(answers == 2)
    #expect(bench.log.stalledSince == nil)
  }

  @Test("while the log waits for its next segment, the start of that step is known")
  func hungPreparation() throws {
    let disk = try LogBench.emptyDisk()
    let bench = try LogBench(disk)
    bench.drain()
    for _ in 0..<100 { bench.append(size: 700) }
    bench.flush()
    while bench.persisted.isEmpty {
      let since = bench.log.stalledSince
      #expect(since != nil)
      bench.clock.now = bench.clock.now + .seconds(1)
      #expect(bench.log.stalledSince == since)
      #expect(disk.step())
    }
    #expect(bench.log.stalledSince == nil)
  }
}
