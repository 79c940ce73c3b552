import Testing

@testable import RaftKV

@Suite("Batch")
struct BatchTests {
  private func entryID(_ index: UInt64, _ term: UInt64 = 1) -> EntryID {
    EntryID(index: LogIndex(index), term: Term(term))
  }

  private func append(_ index: UInt64, term: UInt64 = 1, size: Int, to batch: Batch) {
    let id = entryID(index, term)
    LogBench.payload(id, size: size).withUnsafeBytes {
      batch.append(EntryRecord(kind: .command, id: id, payload: $0))
    }
  }

  /// Entries 5 to 7 behind 4@1; their records are 124, 224 and 324 bytes.
  private func sample() -> Batch {
    let batch = Batch(sequence: 1, lastEntry: entryID(4), bytesBefore: 0)
    for (index, size) in [(5, 100), (6, 200), (7, 300)] {
      append(UInt64(index), size: size, to: batch)
    }
    return batch
  }

  @Test("closed, it is whole sectors under a header of its own segment; its records stay readable")
  func finish() throws {
    let batch = sample()
    let written = BatchHeader(
      segment: 3, number: 9, length: batch.length, recordsChecksum: batch.recordsChecksum,
      previousEnd: 512, previousChecksum: 77, lastEntryBefore: batch.lastEntryBefore)
    let checksum = batch.finish(header: written, seed: 5)
    let bytes = Array(batch.bytes.readable)
    #expect(batch.isClosed && batch.length == 64 + 124 + 224 + 324)
    #expect(bytes.count == 1024 && bytes[batch.length...].allSatisfy { $0 == 0 })
    try bytes.withUnsafeBytes {
      let read = try #require(BatchHeader.decode($0, seed: 5))
      #expect(read.checksum == checksum)
      #expect(read.header.segment == 3 && read.header.number == 9)
      #expect(read.header.length == batch.length)
      #expect(read.header.previousEnd == 512 && read.header.previousChecksum == 77)
      #expect(read.header.lastEntryBefore == entryID(4))
      let records = UnsafeRawBufferPointer(rebasing: $0[64..<batch.length])
      #expect(read.header.recordsChecksum == CRC32C.checksum(records))
      let isAnothers = BatchHeader.decode($0, seed: 6) != nil
      #expect(!isAnothers, "it is no batch of another segment")
    }
    for index in 5...7 {
      let record = batch.record(at: LogIndex(UInt64(index)))
      #expect(record.id == entryID(UInt64(index)))
      #expect(Array(record.payload) == LogBench.payload(record.id, size: (index - 4) * 100))
    }
  }

  @Test(
    "a run is whole records up to its end and its size, but never none",
    arguments: [
      (5, 7, 0, 5, 124), (5, 7, 124 + 223, 5, 124), (5, 7, 124 + 224, 6, 348),
      (5, 7, 9999, 7, 672), (5, 6, 9999, 6, 348), (6, 99, 9999, 7, 548), (7, 7, 1, 7, 324),
    ])
  func run(_ start: UInt64, _ end: UInt64, _ size: Int, _ last: UInt64, _ bytes: Int) {
    let run = sample().run(from: LogIndex(start), through: LogIndex(end), maxBytes: size)
    #expect(run.last == LogIndex(last) && run.bytes.count == bytes)
  }

  @Test("what was truncated is served no more, and remembered as written")
  func shrink() {
    let batch = sample()
    batch.shrink(to: LogIndex(6))
    #expect(batch.first == LogIndex(5) && batch.last == LogIndex(6) && batch.liveCount == 2)
    #expect(batch.highestIndex == LogIndex(7), "compaction must not take this for less")
    let run = batch.run(from: LogIndex(5), through: LogIndex(7), maxBytes: 9999)
    #expect(run.last == LogIndex(6) && run.bytes.count == 348)
    batch.shrink(to: LogIndex(2))
    #expect(batch.liveCount == 0 && batch.last == LogIndex(4) && batch.hasEntries)
  }

  @Test("control records move the place where the entries go on; a batch of nothing is a seal")
  func control() {
    let batch = Batch(sequence: 1, lastEntry: entryID(9, 2), bytesBefore: 0)
    #expect(batch.isSeal && !batch.hasEntries && batch.highestIndex == .zero)
    batch.append(.truncation, entryID(7, 2))
    #expect(!batch.isSeal && !batch.isReset && !batch.hasEntries)
    #expect(batch.previous == entryID(7, 2) && batch.lastEntryBefore == entryID(9, 2))
    append(8, term: 3, size: 1, to: batch)
    #expect(batch.first == LogIndex(8) && batch.last == LogIndex(8))
    #expect(batch.record(at: LogIndex(8)).id == entryID(8, 3))

    let reset = Batch(sequence: 2, lastEntry: entryID(9, 2), bytesBefore: 0)
    reset.append(.reset, entryID(50, 4))
    append(51, term: 4, size: 1, to: reset)
    #expect(reset.isReset && reset.first == LogIndex(51) && reset.highestIndex == LogIndex(51))
  }
}
