/// One key with its value, in one allocation: header, key bytes, value bytes. Immutable once in the map,
/// so that a reply or a snapshot may keep it while writes go on.
package final class Entry {
  package let createIndex: LogIndex
  package let modifyIndex: LogIndex
  private let storage: UnsafeMutableRawPointer
  private let keyCount: Int
  private let valueCount: Int

  package init(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, createIndex: LogIndex,
    modifyIndex: LogIndex
  ) {
    self.createIndex = createIndex
    self.modifyIndex = modifyIndex
    keyCount = key.count
    valueCount = value.count
    storage = .allocate(byteCount: key.count + value.count + 1, alignment: 1)
    if let base = key.baseAddress { storage.copyMemory(from: base, byteCount: key.count) }
    if let base = value.baseAddress {
      (storage + key.count).copyMemory(from: base, byteCount: value.count)
    }
  }

  deinit { storage.deallocate() }

  /// Valid while this entry lives.
  package var key: UnsafeRawBufferPointer { .init(start: storage, count: keyCount) }
  /// Valid while this entry lives.
  package var value: UnsafeRawBufferPointer { .init(start: storage + keyCount, count: valueCount) }
}
