import RaftKV

/// The payload of an entry.
///
/// Rules: a command without fields that may be passed over is, encoded again, the same bytes; apply
/// either takes it or throws before it has changed anything.
package enum CommandFuzzer: Fuzzer {
  package static let name = "command"

  package static func judge(_ input: [UInt8]) throws {
    try withExactCopy(input) { bytes in
      let store = KeyValueStore()
      let before = store.stateHash
      guard let command = try? Command(decoding: bytes) else {
        let result = try? store.apply(payload: bytes, at: LogIndex(1))
        try require(result == nil, "applied, but it is no command")
        return try require(
          store.stateHash == before && store.appliedIndex == .zero, "refused, but half applied")
      }
      var encoded = ByteBuffer()
      command.encode(into: &encoded)
      let isSame = encoded.readable.elementsEqual(bytes)
      try require(isSame || encoded.count < bytes.count, "encoded, it is longer")
      try require(encoded.count == command.encodedSize, "its size was another than foretold")
      _ = try store.apply(payload: bytes, at: LogIndex(1))
      try require(store.appliedIndex == LogIndex(1), "taken, but not applied")
      try require(StateHash(of: store.state.map) == store.stateHash, "the hash is not the map's")
    }
  }

  package static var seeds: [[UInt8]] {
    let key: [UInt8] = [1, 2, 3]
    return key.withUnsafeBytes { key in
      [Command.put(key: key, value: key, clock: 5), .delete(key: key, clock: .max)].map {
        var buffer = ByteBuffer()
        $0.encode(into: &buffer)
        return Array(buffer.readable)
      }
    }
  }
}
