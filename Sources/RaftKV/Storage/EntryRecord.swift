/// An entry in bytes: the same in log batches and in peer frames, so that sending is copying.
///
/// ```
/// offset  size
///      0     1  kind: 1 no-op, 2 configuration, 3 command, 4 reclaim
///               (in the log only: 16 truncation, 17 reset)
///      1     3  zero
///      4     4  payload length, bytes
///      8     8  index
///     16     8  term
///     24     …  payload
/// ```
/// All integers are little-endian. A checksum is the container's business: batch and frame have one
/// each.
package struct EntryRecord {
  package static let headerSize = 24

  package var kind: EntryKind
  package var id: EntryID
  /// Borrowed from the container.
  package var payload: UnsafeRawBufferPointer

  package init(kind: EntryKind, id: EntryID, payload: UnsafeRawBufferPointer) {
    self.kind = kind
    self.id = id
    self.payload = payload
  }

  package static func size(payload: Int) -> Int { headerSize + payload }
}

extension ByteBuffer {
  package mutating func append(recordKind: UInt8, id: EntryID, payload: UnsafeRawBufferPointer) {
    reserve(EntryRecord.headerSize + payload.count)
    append(UInt32(recordKind))
    append(UInt32(payload.count))
    append(id.index.rawValue)
    append(id.term.rawValue)
    append(payload)
  }

  package mutating func append(_ record: EntryRecord) {
    append(recordKind: record.kind.rawValue, id: record.id, payload: record.payload)
  }
}

extension ByteReader {
  /// The next entry, or nil where the bytes are not one, whole and of a known kind.
  package mutating func readEntry() -> EntryRecord? {
    guard let kindField = read(UInt32.self), kindField <= UInt32(UInt8.max),
      let kind = EntryKind(rawValue: UInt8(kindField)),
      let length = read(UInt32.self), let index = read(UInt64.self), let term = read(UInt64.self),
      let payload = read(count: Int(length))
    else { return nil }
    return EntryRecord(
      kind: kind, id: EntryID(index: LogIndex(index), term: Term(term)), payload: payload)
  }
}
