import RaftKV
import Testing

@Suite("Snapshot")
struct SnapshotTests {
  @Test("a state comes back whole, whatever the slices of encoding and the pieces of decoding")
  func roundTrip() throws {
    let store = try makeStore(entries: 6000, valueSize: 128)
    let whole = encode(store, budget: .max)
    #expect(encode(store, budget: 1) == whole)
    var random = Random(seed: 3)
    let state = try decode(whole) { Int.random(in: 1...5000, using: &random) }
    #expect(state.map.violatedInvariant() == nil)
    #expect(state.map.map { Array($0.key) } == store.state.map.map { Array($0.key) })
    #expect(state.map.map { Array($0.value) } == store.state.map.map { Array($0.value) })
    #expect(state.stateHash == store.stateHash && StateHash(of: state.map) == store.stateHash)
    #expect(state.clock == store.clock && state.appliedIndex == store.appliedIndex)
    #expect(state.tombstones.count == store.tombstones.count)
    #expect(encode(KeyValueStore(state), budget: .max) == whole)
  }

  @Test("what is written while a snapshot is encoded is not in it")
  func frozen() throws {
    let store = try makeStore(entries: 6000, valueSize: 128)
    let whole = encode(store, budget: .max)
    var encoder = SnapshotEncoder(store.snapshot(), metadata(of: store))
    var buffer = ByteBuffer()
    var index = store.appliedIndex.rawValue
    repeat {
      index += 1
      try store.apply(encodedPut(numberedKey(Int(index) % 6000), [1]), at: index)
    } while !encoder.encode(into: &buffer, budget: 1)
    #expect(Array(buffer.readable) == whole)
  }

  @Test("an empty state is a snapshot too")
  func empty() throws {
    let state = try decode(encode(KeyValueStore(), budget: 1)) { 1 }
    #expect(state.map.isEmpty && state.appliedIndex == .zero)
  }

  @Test("metadata is known as soon as the header has passed")
  func header() throws {
    let store = try makeStore(entries: 5, valueSize: 4)
    let bytes = encode(store, budget: .max)
    var decoder = SnapshotDecoder()
    try bytes.withUnsafeBytes { try decoder.feed(.init(rebasing: $0[..<200])) }
    #expect(decoder.metadata == metadata(of: store))
  }

  @Test("every truncation and every flipped bit is refused")
  func damage() throws {
    let bytes = encode(try makeStore(entries: 12, valueSize: 5), budget: .max)
    for count in 0..<bytes.count {
      #expect(throws: SnapshotError.truncated) { try decode(Array(bytes[..<count])) { 4096 } }
    }
    for offset in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[offset] ^= 1 << UInt8(bit)
        #expect(throws: SnapshotError.self) { try decode(damaged) { 4096 } }
      }
    }
    #expect(throws: SnapshotError.trailingBytes) { try decode(bytes + [0]) { 4096 } }
  }

  @Test("sections that are left out, doubled or exchanged are refused")
  func sections() throws {
    let bytes = encode(try makeStore(entries: 4500, valueSize: 128), budget: .max)
    let sections = split(bytes)
    #expect(sections.count >= 7)
    for position in sections.indices {
      var without = sections
      without.remove(at: position)
      #expect(throws: SnapshotError.self) { try decode(without.flatMap { $0 }) { 65536 } }
      var doubled = sections
      doubled.insert(sections[position], at: position)
      #expect(throws: SnapshotError.self) { try decode(doubled.flatMap { $0 }) { 65536 } }
      guard position > 0 else { continue }
      var exchanged = sections
      exchanged.swapAt(position - 1, position)
      #expect(throws: SnapshotError.self) { try decode(exchanged.flatMap { $0 }) { 65536 } }
    }
  }

  @Test("a section of an unknown type or an absurd length is refused by its header alone")
  func sectionHeaders() throws {
    let sections = split(encode(try makeStore(entries: 3, valueSize: 3), budget: .max))
    #expect(throws: SnapshotError.unknownSection(99)) {
      try decode(sections[0] + [99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) { 4096 }
    }
    let absurd: [UInt8] = [2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]
    #expect(throws: SnapshotError.sectionTooLong(section: 2, length: .max)) {
      try decode(sections[0] + absurd) { 4096 }
    }
    #expect(throws: SnapshotError.notASnapshot) { try decode(Array("#!/bin/sh\nexit".utf8)) { 99 } }
  }

  // MARK: Helpers

  private func makeStore(entries: Int, valueSize: Int) throws -> KeyValueStore {
    let store = KeyValueStore()
    var index: UInt64 = 0
    for number in 0..<entries {
      index += 1
      let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: valueSize)
      try store.apply(encodedPut(numberedKey(number * 7 % entries), value, clock: index), at: index)
    }
    for number in stride(from: 0, to: entries, by: 5) {
      index += 1
      try store.apply(encodedDelete(numberedKey(number)), at: index)
    }
    return store
  }

  private func metadata(of store: KeyValueStore) -> SnapshotMetadata {
    let member = Configuration.Member(
      id: NodeID(0xabc), name: "n1", memberSince: LogIndex(1), raftAddress: "a:1",
      httpAddress: "a:2", role: .voter)
    return SnapshotMetadata(
      clusterID: ClusterID(42), lastEntry: EntryID(index: store.appliedIndex, term: Term(3)),
      configuration: Configuration(members: [member]), configurationIndex: .zero)
  }

  private func encode(_ store: KeyValueStore, budget: Int) -> [UInt8] {
    var encoder = SnapshotEncoder(store.snapshot(), metadata(of: store))
    var buffer = ByteBuffer()
    while !encoder.encode(into: &buffer, budget: budget) {}
    return Array(buffer.readable)
  }

  @discardableResult
  private func decode(_ bytes: [UInt8], piece: () -> Int) throws -> KeyValueState {
    var decoder = SnapshotDecoder()
    var offset = 0
    while offset < bytes.count {
      let end = min(offset + piece(), bytes.count)
      try bytes.withUnsafeBytes { try decoder.feed(.init(rebasing: $0[offset..<end])) }
      offset = end
    }
    return try decoder.finish()
  }

  private func split(_ bytes: [UInt8]) -> [[UInt8]] {
    var sections: [[UInt8]] = []
    var offset = 0
    while offset < bytes.count {
      let length = bytes.withUnsafeBytes {
        Int($0.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
      }
      sections.append(Array(bytes[offset..<offset + 12 + length]))
      offset += 12 + length
    }
    return sections
  }
}
