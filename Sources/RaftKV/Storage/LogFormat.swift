/// The log on disk. These formats are permanent.
///
/// The log is a run of segment files `log-<id, 16 hexadecimal digits>`, ids ascending without a
/// gap. A segment is one header sector, then batches at sector boundaries, then zeros. Its
/// space is taken, and all of it is zeros and synced, before its name is: so a batch only ever
/// replaces zeros, and nothing durable is overwritten.
///
/// Segment header, a `CheckedSector` with magic `RAFTKVLG`:
/// ```
/// offset  size
///     16     8  segment id
///     24     8  the node's incarnation
///     32     8  salt, random
///     40     8  size of the file
///     48     4  the largest legal batch, bytes
/// ```
///
/// Batch header, 64 bytes, followed by the records and by zeros to the next sector:
/// ```
/// offset  size
///      0     4  magic `RKVB`
///      4     4  CRC32C of bytes 8 ..< 64, continuing the segment header's checksum
///      8     8  segment id
///     16     8  batch number: one more than the previous batch's, across segments
///     24     4  length: header and records, without padding
///     28     4  CRC32C of the records
///     32     4  end offset of the previous batch, in its segment; 0 for the first batch ever
///     36     4  header checksum of the previous batch; 0 for the first batch ever
///     40    16  index and term of the last entry before this batch
///     56     8  zero
/// ```
/// The salt makes a header impossible to forge by a value that a client wrote.
///
/// Records are those of `EntryRecord`. Two kinds exist only here, without payload, and stand before
/// the entries of their batch:
/// - 16 truncation, id `12@3`: the log ends with 12@3 now;
/// - 17 reset, id `12@3`: a snapshot took the place of the whole log, which goes on after 12@3.
///
/// A batch without records is a seal: it says no more than that its predecessor was durable.
///
/// **A batch is valid if and only if** its header checksum holds, segment, number, previous end,
/// previous checksum and last entry are what the batches before it make them, it lies within the
/// segment, its records' checksum holds, and its records parse and follow each other. (In the
/// oldest segment that is left, the first batch has no predecessor to agree with, and may be lost
/// itself where the snapshot has all its entries. Only the first segment ever may have none, or one
/// whose only batch has its second place in the next.)
///
/// **What a crash may leave behind.** One batch is in flight at a time. So the batch after the last
/// valid one, and nothing else, may be there in part: each of its sectors new, old (zero) or
/// anything. It is a torn tail, and cut, if and only if no valid header stands behind its place in
/// this or a later segment, and everything behind it is zero (behind the largest legal batch, where
/// its own header is lost). Otherwise it is damage to acknowledged data. That is also why an idle
/// log is sealed: without a trace of a later batch, rot in the last one would pass for a torn tail.
///
/// **Repetition.** A start cannot know whether the last batch it reads is on the disk or, after a
/// failed write, in the page cache only. So it writes it once more behind itself, with the same
/// header but for the segment, before anything follows it. Where the batch is lost in its first
/// place, it is taken from its second one; an incomplete repetition is part of the torn tail.
enum LogFormat {
  /// The unit in which disks tear writes.
  static let sectorSize = 512

  static func padded(_ length: Int) -> Int { (length + sectorSize - 1) & ~(sectorSize - 1) }
}

/// Kinds of records beyond `EntryKind`.
enum ControlKind: UInt8 {
  case truncation = 16
  case reset = 17
}

struct SegmentHeader {
  static let magic: StaticString = "RAFTKVLG"
  static let version: UInt32 = 1
  static let namePrefix = "log-"

  var id: UInt64
  var node: NodeID
  var salt: UInt64
  var size: Int
  var largestBatch: Int

  static func name(_ id: UInt64) -> String { namePrefix + hexadecimal(id) }

  /// Whether a batch fits what it says of the largest one.
  var allowsBatches: Bool { largestBatch > 0 && largestBatch % LogFormat.sectorSize == 0 }

  /// The id in a segment's name; nil for any other file.
  static func id(name: String) -> UInt64? {
    guard name.hasPrefix(namePrefix) else { return nil }
    return parseHexadecimal(name.dropFirst(namePrefix.count))
  }

  func encoded() -> ByteBuffer {
    CheckedSector.encode(magic: Self.magic, version: Self.version) { sector in
      sector.append(id)
      sector.append(node.rawValue)
      sector.append(salt)
      sector.append(UInt64(size))
      sector.append(UInt32(largestBatch))
    }
  }

  static func decode(_ bytes: UnsafeRawBufferPointer) throws(CheckedSector.Fault) -> SegmentHeader {
    var reader = try CheckedSector.decode(bytes, magic: magic, version: version)
    guard let id = reader.read(UInt64.self), let node = reader.read(UInt64.self),
      let salt = reader.read(UInt64.self), let size = reader.read(UInt64.self),
      let largestBatch = reader.read(UInt32.self), let size = Int(exactly: size)
    else { throw .damaged }
    return SegmentHeader(
      id: id, node: NodeID(node), salt: salt, size: size, largestBatch: Int(largestBatch))
  }
}

struct BatchHeader {
  static let size = 64
  private static let magic: StaticString = "RKVB"
  private static let checksumOffset = 4
  private static let coveredOffset = 8

  var segment: UInt64
  var number: UInt64
  var length: Int
  var recordsChecksum: UInt32
  var previousEnd: Int
  var previousChecksum: UInt32
  var lastEntryBefore: EntryID

  /// Writes it over the first 64 bytes of `batch` and returns its checksum.
  func write(over batch: inout ByteBuffer, seed: UInt32) -> UInt32 {
    batch.mutableReadable.copyMemory(
      from: UnsafeRawBufferPointer(start: Self.magic.utf8Start, count: 4))
    batch.patch(segment, at: 8)
    batch.patch(number, at: 16)
    batch.patch(UInt32(length), at: 24)
    batch.patch(recordsChecksum, at: 28)
    batch.patch(UInt32(previousEnd), at: 32)
    batch.patch(previousChecksum, at: 36)
    batch.patch(lastEntryBefore.index.rawValue, at: 40)
    batch.patch(lastEntryBefore.term.rawValue, at: 48)
    batch.patch(UInt64(0), at: 56)
    let checksum = Self.checksum(batch.readable, seed: seed)
    batch.patch(checksum, at: Self.checksumOffset)
    return checksum
  }

  /// The header at the front of `bytes` with its checksum; nil if there is none that was written
  /// here.
  static func decode(
    _ bytes: UnsafeRawBufferPointer, seed: UInt32
  ) -> (header: BatchHeader, checksum: UInt32)? {
    guard bytes.count >= size,
      bytes[..<4].elementsEqual(UnsafeRawBufferPointer(start: magic.utf8Start, count: 4))
    else { return nil }
    let covered = checksum(bytes, seed: seed)
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[checksumOffset..<size]))
    guard reader.read(UInt32.self) == covered, let segment = reader.read(UInt64.self),
      let number = reader.read(UInt64.self), let length = reader.read(UInt32.self),
      let recordsChecksum = reader.read(UInt32.self), let previousEnd = reader.read(UInt32.self),
      let previousChecksum = reader.read(UInt32.self), let index = reader.read(UInt64.self),
      let term = reader.read(UInt64.self)
    else { return nil }
    let header = BatchHeader(
      segment: segment, number: number, length: Int(length), recordsChecksum: recordsChecksum,
      previousEnd: Int(previousEnd), previousChecksum: previousChecksum,
      lastEntryBefore: EntryID(index: LogIndex(index), term: Term(term)))
    return (header, covered)
  }

  private static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt32 {
    CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: bytes[coveredOffset..<size]), continuing: seed)
  }
}

/// A record as it stands in a batch.
enum LogRecord {
  case truncation(EntryID)
  case reset(EntryID)
  case entry(EntryRecord)
}

extension ByteReader {
  /// The next record, or nil where the bytes are not one.
  mutating func readLogRecord() -> LogRecord? {
    var ahead = self
    guard let kindField = ahead.read(UInt32.self) else { return nil }
    guard let control = UInt8(exactly: kindField).flatMap(ControlKind.init(rawValue:)) else {
      return readEntry().map(LogRecord.entry)
    }
    guard ahead.read(UInt32.self) == 0, let index = ahead.read(UInt64.self),
      let term = ahead.read(UInt64.self)
    else { return nil }
    self = ahead
    let id = EntryID(index: LogIndex(index), term: Term(term))
    return control == .reset ? .reset(id) : .truncation(id)
  }
}

/// Sixteen digits, so that names sort as their numbers do.
func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// Only what `hexadecimal` makes.
func parseHexadecimal(_ text: Substring) -> UInt64? {
  guard text.utf8.count == 16, let value = UInt64(text, radix: 16), hexadecimal(value) == text
  else { return nil }
  return value
}
