import RaftKV

/// Borrows a byte array as the KV layer's interfaces want it.
func withBytes<Result>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
  bytes.withUnsafeBytes { body($0) }
}

func makeEntry(_ key: [UInt8], _ value: [UInt8] = [], at index: UInt64 = 1) -> Entry {
  withBytes(key) { key in
    withBytes(value) { value in
      Entry(key: key, value: value, createIndex: LogIndex(1), modifyIndex: LogIndex(index))
    }
  }
}

func encodedPut(_ key: [UInt8], _ value: [UInt8], clock: UInt64 = 0) -> [UInt8] {
  withBytes(key) { key in
    withBytes(value) { value in
      var buffer = ByteBuffer()
      Command.put(key: key, value: value, clock: clock).encode(into: &buffer)
      return Array(buffer.readable)
    }
  }
}

func encodedDelete(_ key: [UInt8], clock: UInt64 = 0) -> [UInt8] {
  withBytes(key) { key in
    var buffer = ByteBuffer()
    Command.delete(key: key, clock: clock).encode(into: &buffer)
    return Array(buffer.readable)
  }
}

extension KeyValueStore {
  @discardableResult
  func apply(_ payload: [UInt8], at index: UInt64) throws -> ApplyResult {
    try payload.withUnsafeBytes { try apply(payload: $0, at: LogIndex(index)) }
  }
}

/// Eight digits behind a prefix longer than a slot's, so that full comparisons are needed.
func numberedKey(_ number: Int) -> [UInt8] {
  let digits = Array(String(number).utf8)
  return Array("service/".utf8) + [UInt8](repeating: 0x30, count: 8 - digits.count) + digits
}

extension OrderedMap {
  mutating func removeKey(_ key: [UInt8]) -> Entry? { key.withUnsafeBytes { remove($0) } }
}
