/// Turns a frozen state into a snapshot's bytes, in slices, while the store goes on.
package struct SnapshotEncoder {
  private enum Phase {
    case header, clock, stateHash, entries, tombstones, end, done
  }

  private let metadata: SnapshotMetadata
  /// What is encoded; give its map to a `Dismantler` afterwards.
  package let state: KeyValueState
  private var phase = Phase.header
  private var iterator: OrderedMap.Iterator
  /// The entry to encode next; nil behind the last.
  private var entry: Entry?
  /// The tombstone to encode next. Invariant: 0 <= tombstone <= state.tombstones.count.
  private var tombstone = 0
  private var checksum: UInt32 = 0

  package init(_ state: KeyValueState, _ metadata: SnapshotMetadata) {
    precondition(
      metadata.lastEntry.index == state.appliedIndex, "a snapshot includes what was applied")
    self.state = state
    self.metadata = metadata
    iterator = state.map.makeIterator()
    entry = iterator.next()
  }

  /// Appends whole sections until at least `budget` bytes were appended; returns whether the
  /// snapshot is complete.
  package mutating func encode(into buffer: inout ByteBuffer, budget: Int) -> Bool {
    let start = buffer.count
    while phase != .done && buffer.count - start < max(budget, 1) { encodeSection(into: &buffer) }
    return phase == .done
  }

  private mutating func encodeSection(into buffer: inout ByteBuffer) {
    switch phase {
    case .header:
      let start = begin(.header, in: &buffer)
      encodeHeader(into: &buffer)
      finish(start, in: &buffer)
      phase = .clock
    case .clock:
      let start = begin(.clock, in: &buffer)
      buffer.append(state.clock)
      buffer.append(state.tombstones.horizon.rawValue)
      finish(start, in: &buffer)
      phase = .stateHash
    case .stateHash:
      let start = begin(.stateHash, in: &buffer)
      buffer.append(StateHash.version)
      buffer.append(UInt32(0))
      buffer.append(state.stateHash.high)
      buffer.append(state.stateHash.low)
      finish(start, in: &buffer)
      phase = .entries
    case .entries:
      encodeEntries(into: &buffer)
      if entry == nil { phase = .tombstones }
    case .tombstones:
      encodeTombstones(into: &buffer)
      if tombstone == state.tombstones.count { phase = .end }
    case .end:
      let start = begin(.end, in: &buffer)
      buffer.append(UInt64(state.map.count))
      buffer.append(UInt64(state.tombstones.count))
      finish(start, in: &buffer)
      phase = .done
    case .done:
      preconditionFailure("nothing follows the end")
    }
  }

  private func encodeHeader(into buffer: inout ByteBuffer) {
    buffer.append(SnapshotFormat.magic)
    buffer.append(SnapshotFormat.version)
    buffer.append(UInt32(0))
    buffer.append(metadata.clusterID.rawValue)
    buffer.append(metadata.lastEntry.index.rawValue)
    buffer.append(metadata.lastEntry.term.rawValue)
    buffer.append(metadata.configurationIndex.rawValue)
    metadata.configuration.encode(into: &buffer)
  }

  private mutating func encodeEntries(into buffer: inout ByteBuffer) {
    guard entry != nil else { return }
    let start = begin(.entries, in: &buffer)
    while let entry, buffer.count - start < SnapshotFormat.sectionSize {
      withExtendedLifetime(entry) {
        buffer.append(UInt16(entry.key.count))
        buffer.append(entry.fields)
        buffer.append(UInt8(0))
        buffer.append(UInt32(entry.value.count))
        buffer.append(entry.createIndex.rawValue)
        buffer.append(entry.modifyIndex.rawValue)
        buffer.append(entry.encodedAttributes)
        buffer.append(entry.key)
        buffer.append(entry.value)
      }
      self.entry = iterator.next()
    }
    finish(start, in: &buffer)
  }

  private mutating func encodeTombstones(into buffer: inout ByteBuffer) {
    guard tombstone < state.tombstones.count else { return }
    let start = begin(.tombstones, in: &buffer)
    while tombstone < state.tombstones.count, buffer.count - start < SnapshotFormat.sectionSize {
      let entry = state.tombstones[tombstone]
      withExtendedLifetime(entry) {
        buffer.append(entry.modifyIndex.rawValue)
        buffer.append(UInt16(entry.key.count))
        buffer.append(entry.key)
      }
      tombstone += 1
    }
    finish(start, in: &buffer)
  }

  /// Appends a section's header, its length and checksum still open; returns where it starts.
  private func begin(_ section: SnapshotFormat.Section, in buffer: inout ByteBuffer) -> Int {
    let start = buffer.count
    buffer.append(section.rawValue)
    buffer.append(repeating: 0, count: SnapshotFormat.sectionHeaderSize - 4)
    return start
  }

  private mutating func finish(_ start: Int, in buffer: inout ByteBuffer) {
    let payload = start + SnapshotFormat.sectionHeaderSize
    buffer.patch(UInt32(buffer.count - payload), at: start + 4)
    let bytes = buffer.readable
    checksum = CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: bytes[start..<start + 8]), continuing: checksum)
    checksum = CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: bytes[payload...]), continuing: checksum)
    buffer.patch(checksum, at: start + 8)
  }
}
