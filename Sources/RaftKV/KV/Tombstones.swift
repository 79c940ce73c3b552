import DequeModule

/// The indexes at which the last keys were deleted, so that whoever waits for a key or a prefix
/// learns of a delete that left no entry behind. Bounded: the oldest goes first. Part of the
/// replicated state, and so of snapshots, because answers depend on it.
package struct Tombstones {
  /// 4096 keys of 4096 bytes are 16 MiB at worst; a waiter that is further behind looks anew.
  package static let capacity = 4096

  /// In the order of deletion; a tombstone is an entry without a value, `modifyIndex` its index.
  /// One copy of these references, some microseconds, is made when a snapshot is held.
  private var queue: Deque<Entry> = []
  /// The latest tombstone of each key in `queue`.
  private var latest = OrderedMap()
  /// Deletes up to this index may have been forgotten.
  package private(set) var horizon = LogIndex.zero

  package init(horizon: LogIndex = .zero) { self.horizon = horizon }

  package var count: Int { queue.count }
  /// The last delete's.
  package var latestIndex: LogIndex { queue.last?.modifyIndex ?? horizon }

  /// When `key` was deleted, as far as that is remembered.
  package func index(of key: UnsafeRawBufferPointer) -> LogIndex? { latest.find(key)?.modifyIndex }

  /// The latest remembered delete of a key that begins with `prefix`. Linear in those keys.
  package func latestIndex(withPrefix prefix: UnsafeRawBufferPointer) -> LogIndex? {
    var index: LogIndex?
    for tombstone in latest.entries(withPrefix: prefix) {
      index = max(index ?? .zero, tombstone.modifyIndex)
    }
    return index
  }

  package mutating func append(key: UnsafeRawBufferPointer, at index: LogIndex) {
    precondition(index >= latestIndex, "deletes come in the log's order")
    if queue.count == Self.capacity, let oldest = queue.popFirst() {
      horizon = oldest.modifyIndex
      forget(oldest)
    }
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    let tombstone = Entry(key: key, value: nothing, createIndex: .zero, modifyIndex: index)
    queue.append(tombstone)
    latest.insert(tombstone)
  }

  private mutating func forget(_ tombstone: Entry) {
    // The key may have been deleted again since.
    withExtendedLifetime(tombstone) {
      guard index(of: tombstone.key) == tombstone.modifyIndex else { return }
      _ = latest.remove(tombstone.key)
    }
  }

  /// The tombstone in `position`, the oldest first.
  package subscript(position: Int) -> Entry { queue[position] }
}
