import DequeModule

/// Which entries the log has, and where each is: an older part on disk, a newer part in memory.
///
/// ```
///   base │ extents, read from disk │ tail, batches in memory │ lastEntry
/// ```
/// Invariant: extents and tail together hold base.index + 1 ... lastEntry.index, once each, in
/// order; each of them holds at least one entry.
struct LogContents {
  /// A batch that is only on disk.
  struct Extent {
    var position: Batch.Position
    var length: Int
    /// The entry before the first one here.
    var previous: EntryID
    var count: Int
    var bytesBefore: UInt64

    var last: LogIndex { previous.index + count }
  }

  enum Place {
    case memory(Batch)
    case disk(Extent)
  }

  /// What the first entry follows. Everything through it is covered by a snapshot.
  private(set) var base: EntryID
  private(set) var lastEntry: EntryID
  /// Of record bytes ever appended, truncated ones included: differences of it tell how much lies
  /// between two places of the log.
  private(set) var appendedBytes: UInt64 = 0
  private(set) var memoryBytes = 0
  private var snapshotMark: UInt64 = 0
  private var extents: Deque<Extent> = []
  private var tail: Deque<Batch> = []

  init(base: EntryID) {
    self.base = base
    lastEntry = base
  }

  var bytesSinceSnapshot: UInt64 { appendedBytes - snapshotMark }

  // MARK: Growing

  mutating func append(_ record: EntryRecord, to batch: Batch) {
    precondition(
      record.id.index == lastEntry.index.next && record.id.term >= lastEntry.term,
      "entries are appended in order, and terms never fall")
    let isFirst = !batch.hasEntries
    let size = EntryRecord.size(payload: record.payload.count)
    batch.append(record)
    if isFirst { tail.append(batch) }
    memoryBytes += isFirst ? batch.length : size
    appendedBytes += UInt64(size)
    lastEntry = record.id
  }

  /// A batch as recovery found it, with its entries.
  mutating func append(recovered batch: Batch, last: EntryID) {
    guard batch.hasEntries else { return }
    tail.append(batch)
    memoryBytes += batch.length
    appendedBytes += UInt64(batch.length)
    lastEntry = last
  }

  /// The newest batch was written a second time, and is to be read from there.
  mutating func relocateLast(from old: Batch.Position, to new: Batch.Position) {
    if let batch = tail.last {
      if batch.position == old { batch.position = new }
    } else if let extent = extents.last, extent.position == old {
      extents[extents.count - 1].position = new
    }
  }

  // MARK: Shrinking

  /// Ends the log with `entry`, which may lie before the base when recovery meets an old
  /// truncation.
  mutating func truncate(after entry: EntryID) {
    guard entry.index >= base.index else {
      CoverageMark.hit(.truncationBelowBase)
      return reset(to: entry)
    }
    while let batch = tail.last, batch.last > entry.index {
      batch.shrink(to: entry.index)
      if batch.liveCount > 0 {
        CoverageMark.hit(.batchTruncated)
        break
      }
      memoryBytes -= batch.length
      tail.removeLast()
    }
    while let extent = extents.last, extent.last > entry.index {
      let count = entry.index - extent.previous.index
      CoverageMark.hit(.truncatedBeyondMemory)
      if count > 0 {
        extents[extents.count - 1].count = count
        break
      }
      extents.removeLast()
    }
    lastEntry = entry
  }

  mutating func reset(to entry: EntryID) {
    base = entry
    lastEntry = entry
    extents.removeAll()
    tail.removeAll()
    memoryBytes = 0
    snapshotMark = appendedBytes
  }

  /// A snapshot covers the log through `index`.
  mutating func markSnapshot(through index: LogIndex) {
    guard index < lastEntry.index else {
      snapshotMark = appendedBytes
      return
    }
    switch place(of: max(index, base.index).next) {
    case .memory(let batch): snapshotMark = max(snapshotMark, batch.bytesBefore)
    case .disk(let extent): snapshotMark = max(snapshotMark, extent.bytesBefore)
    case nil: break
    }
  }

  /// Forgets all that lies in segments before `segment`.
  mutating func drop(before segment: UInt64) {
    while let extent = extents.first, extent.position.segment < segment { extents.removeFirst() }
    while let batch = tail.first, let position = batch.position, position.segment < segment {
      memoryBytes -= batch.length
      tail.removeFirst()
    }
    base = extents.first?.previous ?? tail.first?.previous ?? lastEntry
  }

  /// Lets go of the oldest batches that are durable and applied, until memory is within `limit`.
  mutating func shedMemory(to limit: Int, applied: LogIndex) {
    while memoryBytes > limit, let batch = tail.first, batch.isDurable, batch.last <= applied,
      let position = batch.position
    {
      extents.append(
        Extent(
          position: position, length: batch.length, previous: batch.previous,
          count: batch.liveCount, bytesBefore: batch.bytesBefore))
      memoryBytes -= batch.length
      tail.removeFirst()
    }
  }

  // MARK: Finding

  func place(of index: LogIndex) -> Place? {
    guard index > base.index, index <= lastEntry.index else { return nil }
    if let first = tail.first, index >= first.first {
      return .memory(tail[partition(tail.count) { tail[$0].last < index }])
    }
    return .disk(extents[partition(extents.count) { extents[$0].last < index }])
  }

  /// The first of `0 ..< count` for which `isBefore` no longer holds.
  private func partition(_ count: Int, _ isBefore: (Int) -> Bool) -> Int {
    var lower = 0
    var upper = count
    while lower < upper {
      let middle = (lower + upper) / 2
      if isBefore(middle) { lower = middle + 1 } else { upper = middle }
    }
    return lower
  }
}
