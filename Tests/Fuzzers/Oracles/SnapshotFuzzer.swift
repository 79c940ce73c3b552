import RaftKV

/// A snapshot's bytes, from a disk or a leader.
///
/// The first byte chooses: raw bytes, or a script of sections that get a right length and chained
/// checksum. Rules: the same verdict however the bytes are cut; a state that was accepted has a
/// sound map, and encoded again it is accepted again and is the same.
package enum SnapshotFuzzer: Fuzzer {
  package static let name = "snapshot"

  package static func judge(_ input: [UInt8]) throws {
    guard let choice = input.first else { return }
    let bytes = choice & 1 == 0 ? Array(input.dropFirst()) : sections(Array(input.dropFirst()))
    let whole = load([bytes[...]])
    for pieces in splittings(of: bytes) {
      try require(load(pieces).summary == whole.summary, "cut, the verdict is another")
    }
    guard case .success(let (state, metadata)) = whole else { return }
    try require(state.map.violatedInvariant() == nil, "the map is not sound")
    var encoder = SnapshotEncoder(state, metadata)
    var buffer = ByteBuffer()
    while !encoder.encode(into: &buffer, budget: 64) {}
    let again = load([Array(buffer.readable)[...]])
    guard case .success(let (copy, copied)) = again else {
      throw BrokenRule("encoded again, it is refused: \(again.summary)")
    }
    try require(copied == metadata && copy.clock == state.clock, "encoded again, it is another")
    try require(
      copy.map.count == state.map.count && StateHash(of: copy.map) == StateHash(of: state.map)
        && copy.tombstones.count == state.tombstones.count, "encoded again, it holds other entries")
  }

  private static func load(
    _ pieces: [ArraySlice<UInt8>]
  ) -> Result<(KeyValueState, SnapshotMetadata), SnapshotError> {
    var decoder = SnapshotDecoder()
    do throws(SnapshotError) {
      for piece in pieces {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: piece)
        try decoder.feed(UnsafeRawBufferPointer(copy))
      }
      let state = try decoder.finish()
      return .success((state, decoder.metadata!))
    } catch {
      return .failure(error)
    }
  }

  /// Each section of the script: type, and the payload behind its length.
  private static func sections(_ bytes: [UInt8]) -> [UInt8] {
    var script = Script(bytes)
    var result: [UInt8] = []
    var checksum: UInt32 = 0
    while !script.isAtEnd {
      let type = script.byte()
      let payload = script.run()
      var head: [UInt8] = [type, 0, 0, 0]
      withUnsafeBytes(of: UInt32(payload.count).littleEndian) { head += $0 }
      checksum = head.withUnsafeBytes { CRC32C.checksum($0, continuing: checksum) }
      checksum = payload.withUnsafeBytes { CRC32C.checksum($0, continuing: checksum) }
      result += head + withUnsafeBytes(of: checksum.littleEndian, Array.init) + payload
    }
    return result
  }

  package static var seeds: [[UInt8]] {
    let store = KeyValueStore()
    var index: UInt64 = 0
    for key in ["a", "b", "a", "c"] {
      index += 1
      let isDelete = index == 3
      _ = Array(key.utf8).withUnsafeBytes { key in
        var buffer = ByteBuffer()
        (isDelete ? Command.delete(key: key, clock: 3) : .put(key: key, value: key, clock: index))
          .encode(into: &buffer)
        return try? store.apply(payload: buffer.readable, at: LogIndex(index))
      }
    }
    let snapshots = [KeyValueStore(), store].map { store in
      let metadata = SnapshotMetadata(
        clusterID: ClusterID(5),
        lastEntry: EntryID(index: store.appliedIndex, term: Term(1)),
        configuration: PeerFuzzer.configuration, configurationIndex: .zero)
      var encoder = SnapshotEncoder(store.snapshot(), metadata)
      var buffer = ByteBuffer()
      while !encoder.encode(into: &buffer, budget: 1 << 20) {}
      return Array(buffer.readable)
    }
    return snapshots.flatMap { [[0] + $0, [1] + script(of: $0)] }
  }

  /// The script that makes these sections.
  private static func script(of snapshot: [UInt8]) -> [UInt8] {
    var rest = snapshot[...]
    var script: [UInt8] = []
    while rest.count >= 12 {
      let header = Array(rest.prefix(12))
      let count = Int(header[4]) | Int(header[5]) << 8
      script += [header[0], header[4], header[5]] + rest.dropFirst(12).prefix(count)
      rest = rest.dropFirst(12 + count)
    }
    return script
  }
}

extension Result where Success == (KeyValueState, SnapshotMetadata), Failure == SnapshotError {
  fileprivate var summary: String {
    switch self {
    case .success(let (state, metadata)): "\(metadata) \(state.map.count) \(state.stateHash)"
    case .failure(let error): "\(error)"
    }
  }
}
