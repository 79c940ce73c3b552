/// Records that are, or will be, one write. The same bytes serve afterwards as the memory of the
/// log: there is no second copy.
final class Batch {
  /// Where a batch stands in its segment.
  struct Position: Equatable {
    var segment: UInt64
    var offset: Int
  }

  /// The order in which batches were begun; what tickets wait for.
  let sequence: UInt64
  /// What the log's last entry was when this batch was begun.
  let lastEntryBefore: EntryID
  /// The entry that the first entry here follows.
  private(set) var previous: EntryID
  /// Header, control records, entries; padding once `close` was called. Never changed after that.
  private(set) var bytes: ByteBuffer
  /// Where each entry's record starts. Invariant: liveCount <= offsets.count.
  private(set) var offsets: [UInt32] = []
  /// The log's part of the entries here: the rest was truncated since.
  private(set) var liveCount = 0
  /// Record bytes of the log before this batch; see `LogContents.appendedBytes`.
  let bytesBefore: UInt64
  /// Header and records, without padding.
  private(set) var length: Int
  private(set) var isClosed = false

  /// Set when it is written.
  var position: Position?
  var isDurable = false

  init(sequence: UInt64, lastEntry: EntryID, bytesBefore: UInt64) {
    self.sequence = sequence
    self.bytesBefore = bytesBefore
    lastEntryBefore = lastEntry
    previous = lastEntry
    length = BatchHeader.size
    bytes = ByteBuffer(capacity: LogFormat.sectorSize)
    bytes.append(repeating: 0, count: BatchHeader.size)
  }

  /// A batch as recovery found it: `content` is header and records.
  init(
    sequence: UInt64, content: UnsafeRawBufferPointer, lastEntryBefore: EntryID, previous: EntryID,
    offsets: [UInt32], position: Position, bytesBefore: UInt64
  ) {
    self.sequence = sequence
    self.lastEntryBefore = lastEntryBefore
    self.previous = previous
    self.offsets = offsets
    self.position = position
    self.bytesBefore = bytesBefore
    liveCount = offsets.count
    length = content.count
    bytes = ByteBuffer(capacity: content.count)
    bytes.append(content)
    isClosed = true
    isDurable = true
  }

  /// Nothing but a header; see `LogFormat`.
  var isSeal: Bool { length == BatchHeader.size }
  private(set) var isReset = false
  /// Of all entries here, truncated ones included; zero without any.
  var highestIndex: LogIndex { hasEntries ? previous.index + offsets.count : .zero }
  var hasEntries: Bool { !offsets.isEmpty }
  /// Of the live entries; meaningful only while there are any.
  var first: LogIndex { previous.index.next }
  var last: LogIndex { previous.index + liveCount }

  func append(_ record: EntryRecord) {
    precondition(!isClosed, "a closed batch is on its way to the disk")
    offsets.append(UInt32(length))
    liveCount += 1
    bytes.append(record)
    length = bytes.count
  }

  func append(_ kind: ControlKind, _ id: EntryID) {
    precondition(!isClosed && offsets.isEmpty, "control records stand before the entries")
    bytes.append(
      recordKind: kind.rawValue, id: id, payload: UnsafeRawBufferPointer(start: nil, count: 0))
    length = bytes.count
    previous = id
    isReset = isReset || kind == .reset
  }

  /// Forgets the entries after `index`; their bytes stay, as they do on disk.
  func shrink(to index: LogIndex) { liveCount = max(0, index - previous.index) }

  /// No more records.
  func close() { isClosed = true }

  /// Puts header and padding around the records; returns the header's checksum.
  func finish(header: BatchHeader, seed: UInt32) -> UInt32 {
    close()
    bytes.append(repeating: 0, count: LogFormat.padded(length) - length)
    return header.write(over: &bytes, seed: seed)
  }

  var recordsChecksum: UInt32 {
    CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes.readable[BatchHeader.size..<length]))
  }

  func record(at index: LogIndex) -> EntryRecord {
    let offset = offsets[index - first]
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes.readable[Int(offset)..<length]))
    guard let record = reader.readEntry() else {
      preconditionFailure("a batch in memory holds what was appended to it")
    }
    return record
  }

  /// The bytes of the records `start ... `: through `end` or as many as fit `maxBytes`, at least
  /// one.
  func run(
    from start: LogIndex, through end: LogIndex, maxBytes: Int
  ) -> (bytes: UnsafeRawBufferPointer, last: LogIndex) {
    let lower = Int(offsets[start - first])
    var count = 1
    while start + count <= min(end, last), recordEnd(start + count) - lower <= maxBytes {
      count += 1
    }
    let final = LogIndex(start.rawValue + UInt64(count) - 1)
    return (UnsafeRawBufferPointer(rebasing: bytes.readable[lower..<recordEnd(final)]), final)
  }

  private func recordEnd(_ index: LogIndex) -> Int {
    let ordinal = index - first
    return ordinal + 1 < offsets.count ? Int(offsets[ordinal + 1]) : length
  }
}
