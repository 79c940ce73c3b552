import RaftKV

/// What a disk durably holds of a node's log: read from the bytes as they reach the platters, by
/// the format as it is documented, and without a look at what the node itself believes. Checksums
/// are not looked at: nothing is read back here.
struct DurableLog {
  struct Place {
    var term: Term
    var segment: ObjectIdentifier
  }

  /// The batch at the end: what is behind it is not acknowledged, and rot in it may pass for a torn
  /// write.
  struct LastBatch {
    var segment: ObjectIdentifier
    var range: Range<Int>
    var isSeal: Bool
  }

  private static var headerSize: Int { 64 }
  private static var recordSize: Int { 24 }
  private static var sectorSize: Int { 512 }
  private static var truncation: UInt8 { 16 }
  private static var reset: UInt8 { 17 }

  /// Entries at or before it are known through a snapshot alone.
  private var base = LogIndex.zero
  private var places: [Place] = []
  /// The newest snapshot with durable name and content.
  var snapshot = EntryID.zero
  private(set) var lastBatch: LastBatch?
  /// A batch that is only partly written.
  private var partial: [UInt8] = []
  private var partialStart = 0
  private var partialSegment: ObjectIdentifier?

  /// Of the newest entry, wherever it is.
  var lastTerm: Term { places.last?.term ?? snapshot.term }
  var last: LogIndex { max(base + places.count, snapshot.index) }

  func holds(_ index: LogIndex, _ term: Term?) -> Bool {
    if index <= snapshot.index { return true }
    guard index > base, index <= base + places.count else { return false }
    return places[index - base - 1].term == term
  }

  /// Whether every entry that lies in `segment` and counts is in the snapshot too: then it may go.
  func isCovered(_ segment: ObjectIdentifier) -> Bool {
    var index = max(base, snapshot.index).next
    while index <= base + places.count {
      if places[index - base - 1].segment == segment { return false }
      index = index.next
    }
    return true
  }

  /// Bytes became durable in a segment.
  mutating func didWrite(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, in segment: ObjectIdentifier
  ) {
    if partialSegment != segment || offset != partialStart + partial.count || partial.isEmpty {
      partial.removeAll(keepingCapacity: true)
      partialStart = offset
      partialSegment = segment
    }
    partial.append(contentsOf: bytes)
    guard partial.count >= Self.headerSize else { return }
    let isWhole = partial.withUnsafeBytes { Self.length(of: $0).map { $0 <= partial.count } }
    switch isWhole {
    case nil: partial.removeAll(keepingCapacity: true)
    case false?: break
    case true?:
      let batch = partial
      partial.removeAll(keepingCapacity: true)
      batch.withUnsafeBytes { read($0, at: partialStart, in: segment) }
    }
  }

  /// A segment got its name durably: a start may have put a batch right behind its header.
  mutating func didName(_ segment: ObjectIdentifier, _ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > Self.sectorSize else { return }
    let rest = UnsafeRawBufferPointer(rebasing: bytes[Self.sectorSize...])
    guard let length = Self.length(of: rest), length <= rest.count else { return }
    read(rest, at: Self.sectorSize, in: segment)
  }

  /// Header, records and padding; nil where no batch begins.
  private static func length(of bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count >= headerSize, bytes[..<4].elementsEqual("RKVB".utf8) else { return nil }
    let length = bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
    return (Int(length) + sectorSize - 1) / sectorSize * sectorSize
  }

  private mutating func read(
    _ bytes: UnsafeRawBufferPointer, at start: Int, in segment: ObjectIdentifier
  ) {
    let length = Int(bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self))
    var offset = Self.headerSize
    lastBatch = LastBatch(
      segment: segment, range: start..<start + Self.length(of: bytes)!, isSeal: length == offset)
    while offset + Self.recordSize <= length {
      let kind = bytes[offset]
      let payload = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
      let index = LogIndex(bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
      let term = Term(bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self))
      switch kind {
      case Self.truncation: truncate(after: index)
      case Self.reset:
        base = index
        places.removeAll(keepingCapacity: true)
      default:
        // A start writes the last batch once more.
        truncate(after: index.previous)
        if base + places.count == index.previous {
          places.append(Place(term: term, segment: segment))
        }
      }
      offset += Self.recordSize + Int(payload)
    }
  }

  private mutating func truncate(after index: LogIndex) {
    guard index < base + places.count else { return }
    places.removeLast(places.count - max(0, index > base ? index - base : 0))
  }
}
