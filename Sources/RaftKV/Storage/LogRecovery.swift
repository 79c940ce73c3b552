import DequeModule

/// What a start finds in the log.
package struct RecoveredLog: Equatable, Sendable {
  /// What the first entry follows.
  package var base: EntryID
  /// All entries after it, in order, with configurations decoded.
  package var entries: [EntryHeader]

  package init(base: EntryID, entries: [EntryHeader]) {
    self.base = base
    self.entries = entries
  }
}

/// Reads the log at start, as `LogFormat` says, and decides where it ends.
///
/// First everything is read and judged; nothing is changed before all of it was found good. Then,
/// in this order: the torn tail is zeroed; the last batch is written a second time, because after a
/// failed sync the page cache may show what the disk does not have (G2), and only the last batch
/// can be such a one; and where a snapshot has replaced the log but the crash came before the log
/// said so, the reset is written.
///
/// Snapshot and log belong together like this, S being the snapshot's last entry:
/// - S before the log's base: entries between them are missing. Damage.
/// - the log has S: all good; what follows S is the log's suffix (F3).
/// - otherwise S is an installed snapshot, or one of entries that others made durable: the log
///   gives way.
struct LogRecovery<D: Disk> {
  private let disk: D
  private let limits: LogLimits
  private let node: NodeID
  private var random: Random

  private(set) var contents = LogContents(base: .zero)
  private(set) var headers: [EntryHeader] = []
  /// Oldest first; the last one is where the log goes on.
  private(set) var segments: Deque<Segment<D>> = []
  private(set) var spare: Segment<D>?
  private(set) var nextSequence: UInt64 = 1
  private(set) var lastNumber: UInt64 = 0
  private(set) var lastEnd = 0
  private(set) var lastChecksum: UInt32 = 0
  private(set) var isSealed = true

  /// The last valid batch, and what its header said of its predecessor.
  private var lastBatch: (segment: Segment<D>, offset: Int, header: BatchHeader)?
  /// What crashes left of batches that were never acknowledged.
  private var torn: [(segment: Segment<D>, range: Range<Int>)] = []

  init(disk: D, limits: LogLimits, node: NodeID, random: Random) {
    self.disk = disk
    self.limits = limits
    self.node = node
    self.random = random
  }

  var lastSegment: UInt64 { segments[segments.count - 1].id }

  mutating func run(hardState: HardState, snapshot: EntryID) throws(RecoveryError) {
    try readSegments()
    try judge(hardState: hardState, snapshot: snapshot)
    try cutTornTail()
    try settleSegments()
    try repeatLastBatch()
    if !covers(snapshot) { try writeReset(to: snapshot) }
  }

  // MARK: Reading

  private mutating func readSegments() throws(RecoveryError) {
    let names = try recovering { () throws(DiskError) in try disk.list() }
    let ids = names.compactMap(SegmentHeader.id(name:)).sorted()
    guard let first = ids.first else { throw .corrupt("there is no log segment") }
    for (ordinal, id) in ids.enumerated() {
      guard id == first + UInt64(ordinal) else {
        throw .corrupt("\(SegmentHeader.name(first + UInt64(ordinal))) is missing")
      }
      try readSegment(id)
    }
    // A batch that filled the oldest segment may be left in its second place alone, in the next
    // one. Whether what went before is in the snapshot, `judge` sees.
    guard lastNumber > 0 || first == 1 else {
      throw .corrupt("\(SegmentHeader.name(first)), the oldest segment, has no valid batch")
    }
  }

  private mutating func readSegment(_ id: UInt64) throws(RecoveryError) {
    let name = SegmentHeader.name(id)
    let file = try recovering { () throws(DiskError) in try disk.open(name, .durable) }
    var mustClose = true
    defer { if mustClose { disk.close(file) } }
    let size = try recovering { () throws(DiskError) in try disk.size(file) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    defer { buffer.deallocate() }
    let count = try recovering { () throws(DiskError) in
      try disk.readWhole(file, at: 0, into: buffer)
    }
    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
    let header = try readHeader(bytes, id: id)
    let segment = Segment(
      disk: disk, file: file, header: header, seed: CheckedSector.checksum(bytes))
    mustClose = false  // The segment closes it from here on.
    segments.append(segment)
    try walk(segment, bytes, largestBatch: header.largestBatch)
  }

  private func readHeader(
    _ bytes: UnsafeRawBufferPointer, id: UInt64
  ) throws(RecoveryError) -> SegmentHeader {
    let name = SegmentHeader.name(id)
    let header: SegmentHeader
    do throws(CheckedSector.Fault) {
      header = try SegmentHeader.decode(bytes)
    } catch {
      throw error.recoveryError(name)
    }
    guard header.node == node else {
      throw .foreign("\(name) belongs to node \(header.node), not to \(node)")
    }
    guard header.id == id else {
      throw .corrupt("\(name) is a copy of \(SegmentHeader.name(header.id))")
    }
    guard header.size == bytes.count, header.allowsBatches else {
      throw .corrupt("\(name) has \(bytes.count) bytes, not the \(header.size) it was made with")
    }
    return header
  }

  /// Accepts batches in sequence, and judges what stands behind the last of them.
  private mutating func walk(
    _ segment: Segment<D>, _ bytes: UnsafeRawBufferPointer, largestBatch: Int
  ) throws(RecoveryError) {
    while segment.room >= LogFormat.sectorSize {
      if let bound = try readBatch(segment, bytes, largestBatch: largestBatch) {
        guard try !skipToRepetition(segment, bytes, bound: bound) else { continue }
        break
      }
    }
  }

  /// Takes the batch at the segment's end into the log. Where there is none, or only a part of one,
  /// returns where the traces of a torn write would have to end.
  private mutating func readBatch(
    _ segment: Segment<D>, _ bytes: UnsafeRawBufferPointer, largestBatch: Int
  ) throws(RecoveryError) -> Int? {
    let offset = segment.end
    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
    guard let (header, checksum) = BatchHeader.decode(rest, seed: segment.seed) else {
      return min(bytes.count, offset + largestBatch)
    }
    let place = LogPlace(segment: segment.id, offset: offset)
    let size = LogFormat.padded(header.length)
    let isRepetition = repeatsLast(header, in: segment)
    guard isRepetition || isSuccessor(header, in: segment), header.length >= BatchHeader.size,
      header.length <= largestBatch, size <= rest.count
    else { throw .corrupt("the batch in \(place) is not the one that belongs there") }
    guard isComplete(header, rest) else {
      CoverageMark.hit(.recordsTorn)
      return offset + size
    }

    if isRepetition {
      CoverageMark.hit(.repetitionFound)
      relocateLast(to: segment, offset)
    } else {
      if lastNumber == 0 { contents = LogContents(base: header.lastEntryBefore) }
      let content = UnsafeRawBufferPointer(rebasing: rest[..<header.length])
      try take(content, header: header, segment: segment, place: place)
    }
    accept(header, checksum: checksum, in: segment)
    torn.removeAll()  // What stands here was lost in its first place, and has its second one.
    return nil
  }

  private mutating func accept(_ header: BatchHeader, checksum: UInt32, in segment: Segment<D>) {
    lastBatch = (segment, segment.end, header)
    segment.end += LogFormat.padded(header.length)
    lastNumber = header.number
    lastEnd = segment.end
    lastChecksum = checksum
    isSealed = header.length == BatchHeader.size
  }

  private func isComplete(_ header: BatchHeader, _ batch: UnsafeRawBufferPointer) -> Bool {
    let records = UnsafeRawBufferPointer(rebasing: batch[BatchHeader.size..<header.length])
    #if PLANTED_BUGS
    let isTorn = CRC32C.checksum(records) != header.recordsChecksum
    if isTorn, PlantedBug.checksumIgnored.isActive { return true }
    #endif
    return CRC32C.checksum(records) == header.recordsChecksum
  }

  private func isSuccessor(_ header: BatchHeader, in segment: Segment<D>) -> Bool {
    guard header.segment == segment.id else { return false }
    guard lastNumber > 0 else {
      // The oldest batch there is: what went before it is gone, unless it is the first of all.
      return segments[0].id > 1 || header.number == 1 && header.lastEntryBefore == .zero
    }
    return header.number == lastNumber + 1 && header.previousEnd == lastEnd
      && header.previousChecksum == lastChecksum && header.lastEntryBefore == contents.lastEntry
  }

  /// Whether this is the last batch once more, as an earlier start wrote it.
  private func repeatsLast(_ header: BatchHeader, in segment: Segment<D>) -> Bool {
    guard let last = lastBatch?.header, header.segment == segment.id else { return false }
    return header.number == last.number && header.length == last.length
      && header.recordsChecksum == last.recordsChecksum && header.previousEnd == last.previousEnd
      && header.previousChecksum == last.previousChecksum
      && header.lastEntryBefore == last.lastEntryBefore
  }

  private mutating func relocateLast(to segment: Segment<D>, _ offset: Int) {
    guard let lastBatch else { return }
    contents.relocateLast(
      from: Batch.Position(segment: lastBatch.segment.id, offset: lastBatch.offset),
      to: Batch.Position(segment: segment.id, offset: offset))
    segment.highestIndex = max(segment.highestIndex, lastBatch.segment.highestIndex)
  }

  private mutating func take(
    _ content: UnsafeRawBufferPointer, header: BatchHeader, segment: Segment<D>, place: LogPlace
  ) throws(RecoveryError) {
    var reader = ByteReader(content)
    _ = reader.read(count: BatchHeader.size)
    var offsets: [UInt32] = []
    var previous = contents.lastEntry
    var last = previous
    while !reader.isAtEnd {
      let offset = reader.offset
      switch reader.readLogRecord() {
      case .entry(let entry) where entry.id.index == last.index.next && entry.id.term >= last.term:
        headers.append(try entryHeader(entry, place: place))
        offsets.append(UInt32(offset))
        last = entry.id
      case .truncation(let entry) where offsets.isEmpty && agrees(with: entry):
        headers.removeLast(min(headers.count, last.index - entry.index))
        contents.truncate(after: entry)
        (previous, last) = (entry, entry)
      case .reset(let entry) where offsets.isEmpty:
        headers.removeAll()
        contents.reset(to: entry)
        (previous, last) = (entry, entry)
      default:
        throw .corrupt("the batch in \(place) holds what never could be in a log")
      }
    }
    let batch = Batch(
      sequence: nextSequence, content: content, lastEntryBefore: header.lastEntryBefore,
      previous: previous, offsets: offsets,
      position: Batch.Position(segment: segment.id, offset: segment.end),
      bytesBefore: contents.appendedBytes)
    nextSequence += 1
    contents.append(recovered: batch, last: last)
    contents.shedMemory(to: limits.memoryTail, applied: last.index)
    segment.highestIndex = max(segment.highestIndex, batch.highestIndex)
  }

  private func entryHeader(
    _ entry: EntryRecord, place: LogPlace
  ) throws(RecoveryError) -> EntryHeader {
    var header = EntryHeader(
      term: entry.id.term, kind: entry.kind, size: UInt32(entry.payload.count))
    guard entry.kind == .configuration else { return header }
    header.configuration = Configuration(decoding: entry.payload)
    guard header.configuration != nil else {
      throw .newerFormat("entry \(entry.id) in \(place) holds a configuration of an unknown form")
    }
    return header
  }

  /// Whether the log can end with `entry`: it has it, or has only what came after it. (The segments
  /// with what came before went when a reset had replaced them.)
  private func agrees(with entry: EntryID) -> Bool {
    guard entry.index <= contents.lastEntry.index else { return false }
    return entry.index < contents.base.index || term(at: entry.index) == entry.term
  }

  private func term(at index: LogIndex) -> Term? {
    guard index != contents.base.index else { return contents.base.term }
    let ordinal = index - contents.base.index - 1
    return headers.indices.contains(ordinal) ? headers[ordinal].term : nil
  }

  // MARK: Judging

  /// The segment's end holds no valid batch. Moves it to where that batch was repeated, if it was;
  /// otherwise what stands behind is a torn tail, or nothing at all, or damage.
  private mutating func skipToRepetition(
    _ segment: Segment<D>, _ bytes: UnsafeRawBufferPointer, bound: Int
  ) throws(RecoveryError) -> Bool {
    guard !isZero(bytes[segment.end...]) else { return false }
    #if PLANTED_BUGS
    if PlantedBug.damageCutAsTorn.isActive {
      torn.append((segment, segment.end..<bytes.count))
      return false
    }
    #endif
    let place = LogPlace(segment: segment.id, offset: segment.end)
    var bound = bound
    let sectors = stride(
      from: segment.end + LogFormat.sectorSize, to: bytes.count, by: LogFormat.sectorSize)
    for offset in sectors {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      guard let (header, _) = BatchHeader.decode(rest, seed: segment.seed) else { continue }
      let end = offset + LogFormat.padded(header.length)
      guard isSuccessor(header, in: segment) || repeatsLast(header, in: segment),
        header.length >= BatchHeader.size, end <= bytes.count
      else { throw .corrupt("the batch in \(place) is damaged, and another follows it") }
      if isComplete(header, rest) {
        CoverageMark.hit(.takenFromRepetition)
        segment.end = offset
        return true
      }
      bound = max(bound, end)
    }
    guard isZero(bytes[bound...]) else {
      throw .corrupt("the batch in \(place) is damaged, and data follows it")
    }
    CoverageMark.hit(.tornTailCut)
    torn.append((segment, segment.end..<bound))
    return false
  }

  private func judge(hardState: HardState, snapshot: EntryID) throws(RecoveryError) {
    let last = contents.lastEntry
    let highest = max(last.term, snapshot.term)
    guard highest <= hardState.currentTerm else {
      throw .corrupt(
        "the hard state says term \(hardState.currentTerm), the log has an entry of term \(highest)"
      )
    }
    guard snapshot.index >= contents.base.index else {
      throw .corrupt("the log begins after \(contents.base), the last snapshot is at \(snapshot)")
    }
  }

  private func covers(_ snapshot: EntryID) -> Bool {
    snapshot.index <= contents.lastEntry.index && term(at: snapshot.index) == snapshot.term
  }

  private func isZero(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
    let bytes = UnsafeRawBufferPointer(rebasing: bytes)
    let words = bytes.count / 8
    for word in 0..<words where bytes.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self) != 0
    {
      return false
    }
    return bytes[(words * 8)...].allSatisfy { $0 == 0 }
  }

  // MARK: Repairing

  private func cutTornTail() throws(RecoveryError) {
    for (segment, range) in torn {
      #if PLANTED_BUGS
      if PlantedBug.tornTailNotCut.isActive { continue }
      #endif
      let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: range.count, alignment: 16)
      defer { zeros.deallocate() }
      zeros.initializeMemory(as: UInt8.self, repeating: 0)
      try recovering { () throws(DiskError) in
        try disk.write(segment.file, at: range.lowerBound, UnsafeRawBufferPointer(zeros))
      }
    }
  }

  /// Writes the last batch again: behind itself, because its first place may hold acknowledged
  /// data, and what is being overwritten can be lost. A seal is written where it is, for it has
  /// nothing to lose.
  private mutating func repeatLastBatch() throws(RecoveryError) {
    guard let (source, offset, header) = lastBatch else { return }
    #if PLANTED_BUGS
    if PlantedBug.lastBatchNotRepeated.isActive { return }
    #endif
    var bytes = ByteBuffer(capacity: LogFormat.padded(header.length))
    var problem: DiskError?
    bytes.append(upTo: LogFormat.padded(header.length)) { buffer in
      do throws(DiskError) {
        return try disk.readWhole(source.file, at: offset, into: buffer)
      } catch {
        problem = error
        return 0
      }
    }
    if let problem { throw .io(problem) }
    if isSealed {
      return try recovering { () throws(DiskError) in
        try disk.write(source.file, at: offset, bytes.readable)
      }
    }
    if segments[segments.count - 1].room < bytes.count { try rotate() }
    let segment = segments[segments.count - 1]
    var repetition = header
    repetition.segment = segment.id
    let checksum = repetition.write(over: &bytes, seed: segment.seed)
    let written = bytes.readable
    try recovering { () throws(DiskError) in
      try disk.write(segment.file, at: segment.end, written)
    }
    relocateLast(to: segment, segment.end)
    accept(repetition, checksum: checksum, in: segment)
  }

  /// The log goes on in the segment of its last batch; of the empty ones behind it one is the
  /// spare. A second one stands there when the first batch of the segment between them was lost.
  private mutating func settleSegments() throws(RecoveryError) {
    let current = lastBatch?.segment.id ?? segments[0].id
    while let last = segments.last, last.id > current {
      segments.removeLast()
      guard last.id > current + 1 || last.size < LogFormat.sectorSize + limits.maximumBatchSize
      else {
        spare = last
        continue
      }
      CoverageMark.hit(.secondSpareRemoved)
      try recovering { () throws(DiskError) in
        try disk.remove(SegmentHeader.name(last.id))
        try disk.syncDirectory()
      }
    }
  }

  private mutating func writeReset(to snapshot: EntryID) throws(RecoveryError) {
    CoverageMark.hit(.resetAtStart)
    if segments[segments.count - 1].room < LogFormat.sectorSize { try rotate() }
    let segment = segments[segments.count - 1]
    let batch = Batch(
      sequence: nextSequence, lastEntry: contents.lastEntry, bytesBefore: contents.appendedBytes)
    batch.append(.reset, snapshot)
    let header = BatchHeader(
      segment: segment.id, number: lastNumber + 1, length: batch.length,
      recordsChecksum: batch.recordsChecksum, previousEnd: lastEnd,
      previousChecksum: lastChecksum, lastEntryBefore: contents.lastEntry)
    let checksum = batch.finish(header: header, seed: segment.seed)
    try recovering { () throws(DiskError) in
      try disk.write(segment.file, at: segment.end, batch.bytes.readable)
    }
    segment.end += batch.bytes.count
    nextSequence += 1
    lastNumber += 1
    lastEnd = segment.end
    lastChecksum = checksum
    isSealed = false
    headers.removeAll()
    contents.reset(to: snapshot)
  }

  private mutating func rotate() throws(RecoveryError) {
    if let spare {
      CoverageMark.hit(.rotatedAtStart)
      self.spare = nil
      return segments.append(spare)
    }
    let id = lastSegment + 1
    try recovering { () throws(DiskError) in
      try SegmentPreparer.prepareNow(
        disk: disk, limits: limits, node: node, random: &random, id: id)
    }
    try readSegment(id)
  }
}

extension CheckedSector.Fault {
  func recoveryError(_ name: String) -> RecoveryError {
    switch self {
    // What is under the magic is sound, so we wrote it: another program's file is told by that.
    case .foreign: .corrupt("\(name) does not begin as it was written")
    case .damaged: .corrupt("\(name) is not what was written")
    case .newer(let version): .newerFormat("\(name) has format version \(version)")
    }
  }
}

extension LogStore {
  /// Opens the log of `node`. `snapshot` is the last entry of the snapshot that was loaded, zero
  /// without one. A torn tail is cut; any other damage refuses the start.
  package static func recover(
    disk: D, limits: LogLimits, node: NodeID, hardState: HardState, snapshot: EntryID,
    random: Random, clock: @escaping () -> Instant, logger: Logger
  ) throws(RecoveryError) -> (LogStore<D>, RecoveredLog) {
    limits.check()
    var random = random
    var recovery = LogRecovery(disk: disk, limits: limits, node: node, random: random.fork())
    try recovery.run(hardState: hardState, snapshot: snapshot)
    let names = try recovering { () throws(DiskError) in try disk.list() }
    let preparer = SegmentPreparer(
      disk: disk, limits: limits, node: node, random: random, spare: recovery.spare, clock: clock)
    let ballast = Ballast(
      disk: disk, size: limits.ballastSize, pieceSize: limits.preparationPiece,
      isPresent: names.contains(BallastFile.name))
    let store = LogStore(
      disk: disk, limits: limits, recovery: recovery, preparer: preparer, ballast: ballast,
      clock: clock, logger: logger)
    store.contents.markSnapshot(through: snapshot.index)
    store.resumePreparation()
    return (store, RecoveredLog(base: recovery.contents.base, entries: recovery.headers))
  }
}
