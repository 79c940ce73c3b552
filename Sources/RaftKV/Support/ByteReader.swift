/// Reads little-endian fields from borrowed bytes. Every read says whether the bytes were there;
/// nothing is read past the end, whatever the input.
package struct ByteReader {
  package let bytes: UnsafeRawBufferPointer
  package private(set) var offset = 0

  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package var remaining: Int { bytes.count - offset }
  package var isAtEnd: Bool { offset == bytes.count }

  package mutating func read<Integer: FixedWidthInteger>(
    _ type: Integer.Type = Integer.self
  ) -> Integer? {
    let size = MemoryLayout<Integer>.size
    guard remaining >= size else { return nil }
    defer { offset += size }
    return Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Integer.self))
  }

  /// The next `count` bytes, still borrowed.
  package mutating func read(count: Int) -> UnsafeRawBufferPointer? {
    guard count >= 0, remaining >= count else { return nil }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  /// A string of at most `limit` UTF-8 bytes behind a two-byte length.
  package mutating func readString(limit: Int) -> String? {
    guard let length = read(UInt16.self), Int(length) <= limit,
      let utf8 = read(count: Int(length))
    else { return nil }
    return String(validating: utf8, as: UTF8.self)
  }
}

extension ByteBuffer {
  /// Appends a string behind a two-byte length; the reader's twin.
  package mutating func append(lengthPrefixed text: String) {
    let utf8 = Array(text.utf8)
    precondition(utf8.count <= Int(UInt16.max), "a string field is at most 65535 bytes")
    append(UInt16(utf8.count))
    append(utf8)
  }
}
