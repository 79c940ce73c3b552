/// `%XX` in targets (RFC 3986 §2.1): decoded once, into bytes of any value.
enum PercentCoding {
  /// Whether every `%` begins an escape.
  static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var index = 0
    while let escape = bytes.firstIndex(of: UInt8(ascii: "%"), in: index..<bytes.count) {
      guard escape + 2 < bytes.count, bytes[escape + 1].hexadecimalValue != nil,
        bytes[escape + 2].hexadecimalValue != nil
      else { return false }
      index = escape + 3
    }
    return true
  }

  /// Appends the decoded bytes of a query's piece, in which a `+` is a space, as forms write it.
  static func decode(query bytes: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
    buffer.append(upTo: bytes.count) { target in
      var index = 0
      var count = 0
      while index < bytes.count {
        let byte = next(bytes, &index)
        target[count] = byte.isPlain && byte.value == UInt8(ascii: "+") ? .space : byte.value
        count += 1
      }
      return count
    }
  }

  /// Whether the piece of a query decodes to `text`.
  static func equals(query bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
    // Hardly anybody escapes a parameter's name.
    if bytes.equals(text) { return true }
    return equals(bytes, text) { byte in
      byte.isPlain && byte.value == UInt8(ascii: "+") ? .space : byte.value
    }
  }

  /// Whether the path decodes to `text`. An escaped slash is a part of a name and separates
  /// nothing.
  static func equals(path bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
    equals(bytes, text) { byte in
      !byte.isPlain && byte.value == UInt8(ascii: "/") ? 0 : byte.value
    }
  }

  private static func equals(
    _ bytes: UnsafeRawBufferPointer, _ text: StaticString,
    _ meaning: ((value: UInt8, isPlain: Bool)) -> UInt8
  ) -> Bool {
    var index = 0
    var count = 0
    while index < bytes.count {
      guard count < text.utf8CodeUnitCount else { return false }
      guard meaning(next(bytes, &index)) == text.utf8Start[count] else { return false }
      count += 1
    }
    return count == text.utf8CodeUnitCount
  }

  private static func next(
    _ bytes: UnsafeRawBufferPointer, _ index: inout Int
  ) -> (value: UInt8, isPlain: Bool) {
    if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
      let high = bytes[index + 1].hexadecimalValue, let low = bytes[index + 2].hexadecimalValue
    {
      index += 3
      return (high << 4 | low, false)
    }
    index += 1
    return (bytes[index - 1], true)
  }
}
