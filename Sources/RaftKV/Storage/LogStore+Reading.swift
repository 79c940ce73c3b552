/// Records of one stretch of the log, read from disk: borrowed, valid during the call they come in.
package struct RecordSlice {
  /// Whole records, one behind the other, as a peer frame carries them.
  package var records: UnsafeRawBufferPointer
  package var first: LogIndex
  package var last: LogIndex
}

extension LogStore {
  // MARK: From memory

  /// Calls `body` with the entry at `index`; nil where it is not in memory.
  package func withEntry<Value>(
    at index: LogIndex, _ body: (EntryRecord) throws -> Value
  ) rethrows -> Value? {
    guard case .memory(let batch) = contents.place(of: index) else { return nil }
    return try body(batch.record(at: index))
  }

  /// Calls `body` with the entries from `start` on, in order, while it returns true. Returns the
  /// last index it was called with; nil where `start` is not in memory.
  package func forEachInMemory(
    from start: LogIndex, through end: LogIndex, _ body: (EntryRecord) -> Bool
  ) -> LogIndex? {
    var index = start
    var last: LogIndex?
    while index <= end, case .memory(let batch) = contents.place(of: index) {
      while index <= min(end, batch.last) {
        last = index
        guard body(batch.record(at: index)) else { return last }
        index = index.next
      }
    }
    return last
  }

  /// Copies contiguous records, as they go into a peer frame: through `end` or as many as fit
  /// `maxBytes`, at least one. Returns the last index copied; nil where `start` is not in memory.
  package func copyRecords(
    from start: LogIndex, through end: LogIndex, maxBytes: Int, into buffer: inout ByteBuffer
  ) -> LogIndex? {
    var index = start
    var room = maxBytes
    var last: LogIndex?
    while index <= end, case .memory(let batch) = contents.place(of: index) {
      let run = batch.run(from: index, through: end, maxBytes: room)
      if last != nil, run.bytes.count > room { break }
      buffer.append(run.bytes)
      room -= run.bytes.count
      last = run.last
      index = run.last.next
    }
    return last
  }

  // MARK: From disk

  /// Reads one slice of the log from disk, asynchronously and checked: from `start` through `end`,
  /// or to the end of its batch, or as much as fits `maxBytes`, at least one record. The completion
  /// gets nil where `start` is not on disk (memory has it, or the log no longer has it), or when
  /// the log has failed: rot in our own log is never served and never passed over (G4).
  package func readRecords(
    from start: LogIndex, through end: LogIndex, maxBytes: Int,
    completion: @escaping (RecordSlice?) -> Void
  ) {
    guard !hasFailed, case .disk(let extent) = contents.place(of: start),
      let segment = segment(extent.position.segment)
    else { return completion(nil) }
    let generation = rewriteCount
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: extent.length, alignment: 16)
    reads.didBegin(at: clock())
    disk.submitWhole(segment.file, at: extent.position.offset, into: buffer) { [self] error in
      defer { buffer.deallocate() }
      reads.didEnd(at: clock())
      guard !hasFailed else { return completion(nil) }
      if let error {
        fail(StorageFailure("the log cannot be read: \(error)"))
        return completion(nil)
      }
      guard generation == rewriteCount else {
        CoverageMark.hit(.readAcrossRewrite)
        return readRecords(from: start, through: end, maxBytes: maxBytes, completion: completion)
      }
      let batch = UnsafeRawBufferPointer(buffer)
      let through = min(end, extent.last)
      guard isIntact(batch, extent: extent, seed: segment.seed),
        let slice = slice(of: batch, from: start, through: through, maxBytes: maxBytes)
      else {
        let name = SegmentHeader.name(segment.id)
        fail(
          StorageFailure(
            "\(name) is damaged at \(extent.position.offset): \(RecoveryError.procedure)",
            isCorruption: true))
        return completion(nil)
      }
      completion(slice)
    }
  }

  private func segment(_ id: UInt64) -> Segment<D>? {
    guard let first = segments.first, id >= first.id, id <= current.id else { return nil }
    return segments[Int(id - first.id)]
  }

  private func isIntact(
    _ batch: UnsafeRawBufferPointer, extent: LogContents.Extent, seed: UInt32
  ) -> Bool {
    let records = UnsafeRawBufferPointer(rebasing: batch[BatchHeader.size...])
    guard let (header, _) = BatchHeader.decode(batch, seed: seed), header.length == batch.count,
      CRC32C.checksum(records) == header.recordsChecksum
    else { return false }
    return true
  }

  /// The stretch of `batch` that holds the entries asked for; nil if it does not.
  private func slice(
    of batch: UnsafeRawBufferPointer, from start: LogIndex, through end: LogIndex, maxBytes: Int
  ) -> RecordSlice? {
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: batch[BatchHeader.size...]))
    var lower: Int?
    var upper = 0
    var last = start
    while !reader.isAtEnd {
      let offset = reader.offset
      guard let record = reader.readLogRecord() else { return nil }
      guard case .entry(let entry) = record, entry.id.index >= start else { continue }
      if entry.id.index > end { break }
      if lower == nil {
        guard entry.id.index == start else { return nil }
        lower = offset
      } else if reader.offset - (lower ?? 0) > maxBytes {
        break
      }
      upper = reader.offset
      last = entry.id.index
    }
    guard let lower else { return nil }
    let records = UnsafeRawBufferPointer(rebasing: reader.bytes[lower..<upper])
    return RecordSlice(records: records, first: start, last: last)
  }
}
