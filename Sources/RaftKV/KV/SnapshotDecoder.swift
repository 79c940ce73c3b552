/// Builds a state from a snapshot's bytes, as they come, in pieces of any size. A call costs what
/// its piece costs, and where it completes a section the checking of that section: callers choose
/// the slices. Nothing is believed before its checksum, and memory grows only by bytes that have
/// arrived.
package struct SnapshotDecoder: ~Copyable {
  /// Known once the header section has passed.
  package private(set) var metadata: SnapshotMetadata?

  private var state = KeyValueState()
  private var stated: StateHashReport?
  /// The section under way, its header included.
  private var section = ByteBuffer(capacity: SnapshotFormat.sectionHeaderSize)
  /// Known once the section's header is here.
  private var sectionCount: Int?
  /// The last section's type; they come in order.
  private var previous: SnapshotFormat.Section?
  private var checksum: UInt32 = 0

  package init() {}

  /// After an error the decoder is of no further use but to be `abandoned`.
  package mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(SnapshotError) {
    var offset = 0
    while offset < bytes.count {
      if previous == .end { throw .trailingBytes }
      let wanted = (sectionCount ?? SnapshotFormat.sectionHeaderSize) - section.count
      let taken = min(wanted, bytes.count - offset)
      section.append(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + taken]))
      offset += taken
      if sectionCount == nil && section.count == SnapshotFormat.sectionHeaderSize {
        sectionCount = try checkSectionHeader()
      }
      if section.count == sectionCount { try finishSection() }
    }
  }

  /// The state, once all bytes have been fed.
  package mutating func finish() throws(SnapshotError) -> KeyValueState {
    guard previous == .end else { throw .truncated }
    let finished = state
    state = KeyValueState()
    return finished
  }

  /// Hands over what was built so far, to be released in slices.
  package mutating func abandon(to dismantler: inout Dismantler) {
    dismantler.take(state.map)
    state = KeyValueState()
  }

  /// Returns the size of the section whose header is here.
  private func checkSectionHeader() throws(SnapshotError) -> Int {
    var reader = ByteReader(section.readable)
    guard let type = reader.read(UInt32.self), let length = reader.read(UInt32.self) else {
      preconditionFailure("a section's header is whole")
    }
    guard let next = SnapshotFormat.Section(rawValue: type) else {
      throw previous == nil ? .notASnapshot : .unknownSection(type)
    }
    guard isExpected(next) else {
      throw previous == nil ? .notASnapshot : .unexpectedSection(type)
    }
    guard length <= SnapshotFormat.maximumSectionLength else {
      throw .sectionTooLong(section: type, length: length)
    }
    return SnapshotFormat.sectionHeaderSize + Int(length)
  }

  private func isExpected(_ next: SnapshotFormat.Section) -> Bool {
    switch next {
    case .header: previous == nil
    case .clock: previous == .header
    case .stateHash: previous == .clock
    case .entries: previous == .stateHash || previous == .entries
    case .tombstones: previous == .stateHash || previous == .entries || previous == .tombstones
    case .end: previous == .stateHash || previous == .entries || previous == .tombstones
    }
  }

  private mutating func finishSection() throws(SnapshotError) {
    let bytes = section.readable
    var reader = ByteReader(bytes)
    guard let type = reader.read(UInt32.self).flatMap(SnapshotFormat.Section.init(rawValue:)),
      reader.read(UInt32.self) != nil, let stated = reader.read(UInt32.self)
    else { preconditionFailure("a section's header was checked") }
    let payload = UnsafeRawBufferPointer(rebasing: bytes[SnapshotFormat.sectionHeaderSize...])
    let head = UnsafeRawBufferPointer(rebasing: bytes[..<8])
    checksum = CRC32C.checksum(payload, continuing: CRC32C.checksum(head, continuing: checksum))
    #if PLANTED_BUGS
    if checksum != stated, PlantedBug.snapshotUnchecked.isActive { checksum = stated }
    #endif
    guard checksum == stated else { throw .checksumMismatch(section: type.rawValue) }
    switch type {
    case .header: try decodeHeader(payload)
    case .clock: try decodeClock(payload)
    case .stateHash: try decodeStateHash(payload)
    case .entries: try decodeEntries(payload)
    case .tombstones: try decodeTombstones(payload)
    case .end: try decodeEnd(payload)
    }
    previous = type
    sectionCount = nil
    section.clear()
  }

  // MARK: Sections

  private mutating func decodeHeader(_ payload: UnsafeRawBufferPointer) throws(SnapshotError) {
    var reader = ByteReader(payload)
    guard reader.read(UInt64.self) == SnapshotFormat.magic else { throw .notASnapshot }
    guard let version = reader.read(UInt32.self) else { throw malformed(.header, "it is cut off") }
    guard version == SnapshotFormat.version else { throw .unsupportedVersion(version) }
    guard reader.read(UInt32.self) == 0, let cluster = reader.read(UInt64.self),
      let index = reader.read(UInt64.self), let term = reader.read(UInt64.self),
      let configurationIndex = reader.read(UInt64.self),
      let rest = reader.read(count: reader.remaining)
    else { throw malformed(.header, "it is cut off") }
    guard let configuration = Configuration(decoding: rest) else {
      throw malformed(.header, "its configuration cannot be read")
    }
    guard configurationIndex <= index else {
      throw malformed(.header, "its configuration is later than its last entry")
    }
    state.appliedIndex = LogIndex(index)
    metadata = SnapshotMetadata(
      clusterID: ClusterID(cluster),
      lastEntry: EntryID(index: LogIndex(index), term: Term(term)), configuration: configuration,
      configurationIndex: LogIndex(configurationIndex))
  }

  private mutating func decodeClock(_ payload: UnsafeRawBufferPointer) throws(SnapshotError) {
    var reader = ByteReader(payload)
    guard let clock = reader.read(UInt64.self), let horizon = reader.read(UInt64.self),
      reader.isAtEnd, horizon <= state.appliedIndex.rawValue
    else { throw malformed(.clock, "it is a clock and an index of the past") }
    state.clock = clock
    state.tombstones = Tombstones(horizon: LogIndex(horizon))
  }

  private mutating func decodeStateHash(_ payload: UnsafeRawBufferPointer) throws(SnapshotError) {
    var reader = ByteReader(payload)
    guard let version = reader.read(UInt32.self), reader.read(UInt32.self) == 0,
      let high = reader.read(UInt64.self), let low = reader.read(UInt64.self), reader.isAtEnd
    else { throw malformed(.stateHash, "it is a version and 16 bytes") }
    stated = StateHashReport(
      version: version, index: state.appliedIndex, hash: StateHash(high: high, low: low))
  }

  private mutating func decodeEntries(_ payload: UnsafeRawBufferPointer) throws(SnapshotError) {
    var reader = ByteReader(payload)
    guard !reader.isAtEnd else { throw malformed(.entries, "it is empty") }
    while !reader.isAtEnd {
      guard let entry = reader.readSnapshotEntry() else {
        throw malformed(.entries, "a record is cut off or has unknown fields")
      }
      guard (1...Command.maximumKeyLength).contains(entry.key.count) else {
        throw malformed(.entries, "a key is empty or too long")
      }
      guard entry.createIndex <= entry.modifyIndex, entry.modifyIndex <= state.appliedIndex else {
        throw malformed(.entries, "an entry is changed before it is made, or after the snapshot")
      }
      guard state.map.append(entry) else { throw malformed(.entries, "keys do not ascend") }
      state.stateHash.insert(entry)
    }
  }

  private mutating func decodeTombstones(_ payload: UnsafeRawBufferPointer) throws(SnapshotError) {
    var reader = ByteReader(payload)
    guard !reader.isAtEnd else { throw malformed(.tombstones, "it is empty") }
    var latest = state.tombstones.latestIndex
    while !reader.isAtEnd {
      guard let field = reader.read(UInt64.self), let length = reader.read(UInt16.self),
        (1...Command.maximumKeyLength).contains(Int(length)),
        let key = reader.read(count: Int(length))
      else { throw malformed(.tombstones, "a record is cut off or its key too long") }
      let index = LogIndex(field)
      guard latest <= index, index <= state.appliedIndex else {
        throw malformed(.tombstones, "indexes do not ascend to the last entry's")
      }
      guard state.tombstones.count < Tombstones.capacity else {
        throw malformed(.tombstones, "there are too many")
      }
      state.tombstones.append(key: key, at: index)
      latest = index
    }
  }

  private func decodeEnd(_ payload: UnsafeRawBufferPointer) throws(SnapshotError) {
    var reader = ByteReader(payload)
    guard let entries = reader.read(UInt64.self), let tombstones = reader.read(UInt64.self),
      reader.isAtEnd
    else { throw malformed(.end, "it is two counts") }
    guard entries == UInt64(state.map.count), tombstones == UInt64(state.tombstones.count) else {
      throw .countMismatch
    }
    // A hash of another version cannot be recomputed; the checksums still hold.
    guard let stated, stated.version == StateHash.version else { return }
    #if PLANTED_BUGS
    if stated.hash != state.stateHash, PlantedBug.snapshotUnchecked.isActive { return }
    #endif
    guard stated.hash == state.stateHash else { throw .stateHashMismatch }
  }

  private func malformed(_ section: SnapshotFormat.Section, _ reason: String) -> SnapshotError {
    .malformed(section: section.rawValue, reason)
  }
}

extension ByteReader {
  /// One record of an entries section.
  fileprivate mutating func readSnapshotEntry() -> Entry? {
    guard let keyCount = read(UInt16.self), let fields = read(UInt8.self), read(UInt8.self) == 0,
      fields & ~Entry.Attributes.knownFields == 0, let valueCount = read(UInt32.self),
      let createIndex = read(UInt64.self), let modifyIndex = read(UInt64.self),
      let extra = read(count: Entry.Attributes.size(of: fields)),
      let key = read(count: Int(keyCount)), let value = read(count: Int(valueCount))
    else { return nil }
    var attributes = Entry.Attributes.none
    if let base = extra.baseAddress { attributes = Entry.Attributes(loading: fields, from: base) }
    // A field that is said to be set is not zero: the same entry has one encoding.
    guard attributes.fields == fields else { return nil }
    return Entry(
      key: key, value: value, createIndex: LogIndex(createIndex),
      modifyIndex: LogIndex(modifyIndex), attributes: attributes)
  }
}
