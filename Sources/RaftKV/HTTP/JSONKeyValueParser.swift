/// Reads `{"key":K,"value":V}`, strictly by RFC 8259: exactly these two members, both strings,
/// valid UTF-8, no lone surrogate, nothing before or behind but white space.
///
/// A string without escapes is borrowed from the body; one with them is decoded into `decoded`.
package struct JSONKeyValueParser {
  /// Where a decoded string lies.
  private enum Text {
    case borrowed(Range<Int>)
    case decoded(Range<Int>)
  }

  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Both results are valid until `bytes` or `decoded` change.
  package static func parse(
    _ bytes: UnsafeRawBufferPointer, decoded: inout ByteBuffer
  ) throws(Failure) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    decoded.clear(keeping: HTTPLimits.maximumOutput)
    var parser = JSONKeyValueParser(bytes)
    let (key, value) = try parser.parseObject(&decoded)
    return (
      resolve(key, bytes, decoded.readable), resolve(value, bytes, decoded.readable)
    )
  }

  private static func resolve(
    _ text: Text, _ bytes: UnsafeRawBufferPointer, _ decoded: UnsafeRawBufferPointer
  ) -> UnsafeRawBufferPointer {
    switch text {
    case .borrowed(let range): return bytes.slice(range)
    case .decoded(let range): return decoded.slice(range)
    }
  }

  private mutating func parseObject(
    _ decoded: inout ByteBuffer
  ) throws(Failure) -> (Text, Text) {
    var key: Text?
    var value: Text?
    try expect(UInt8(ascii: "{"), "an object, `{`")
    var separator = UInt8(ascii: ",")
    if next() == UInt8(ascii: "}") {
      offset += 1
      separator = UInt8(ascii: "}")
    }
    while separator == UInt8(ascii: ",") {
      skipSpace()
      let start = offset
      let name = Self.resolve(try parseString(&decoded), bytes, decoded.readable)
      let isKey = name.equals("key")
      guard isKey || name.equals("value") else {
        throw failure("unknown_member", "only the members \"key\" and \"value\" are known", start)
      }
      guard (isKey ? key : value) == nil else {
        throw failure("duplicate_member", "a member stands twice", start)
      }
      try expect(UInt8(ascii: ":"), "a colon")
      skipSpace()
      let text = try parseString(&decoded)
      if isKey { key = text } else { value = text }
      skipSpace()
      guard offset < bytes.count,
        bytes[offset] == UInt8(ascii: ",") || bytes[offset] == UInt8(ascii: "}")
      else { throw syntax("a comma or `}` is expected") }
      separator = bytes[offset]
      offset += 1
    }
    skipSpace()
    guard offset == bytes.count else { throw syntax("nothing may follow the object") }
    guard let key, let value else {
      throw failure("missing_member", "\"key\" and \"value\" are both needed", offset)
    }
    return (key, value)
  }

  // MARK: Strings

  private mutating func parseString(_ decoded: inout ByteBuffer) throws(Failure) -> Text {
    guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else {
      throw syntax("a string is expected")
    }
    offset += 1
    let start = offset
    let decodedStart = decoded.count
    var copied = start  // bytes before it are in `decoded`, once there is any escape
    while offset < bytes.count {
      skipPlainText()
      guard offset < bytes.count else { break }
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        let end = offset
        offset += 1
        if copied == start { return .borrowed(start..<end) }
        decoded.append(bytes.slice(copied..<end))
        return .decoded(decodedStart..<decoded.count)
      case UInt8(ascii: "\\"):
        decoded.append(bytes.slice(copied..<offset))
        try parseEscape(&decoded)
        copied = offset
      case 0..<0x20: throw syntax("a control character must be escaped")
      case 0x80...: try skipScalar()
      default: offset += 1
      }
    }
    throw syntax("a string has no end")
  }

  /// Steps over whole words of ASCII in which nothing needs a look of its own; four at a time where
  /// the text is long.
  private mutating func skipPlainText() {
    while offset + 32 <= bytes.count {
      let isPlain =
        Self.isPlain(bytes.word(at: offset)) && Self.isPlain(bytes.word(at: offset + 8))
        && Self.isPlain(bytes.word(at: offset + 16)) && Self.isPlain(bytes.word(at: offset + 24))
      guard isPlain else { break }
      offset += 32
    }
    while offset + 8 <= bytes.count, Self.isPlain(bytes.word(at: offset)) { offset += 8 }
  }

  private static func isPlain(_ word: ByteWord) -> Bool {
    word.isASCII && !word.hasByte(below: 0x20) && !word.has(UInt8(ascii: "\""))
      && !word.has(UInt8(ascii: "\\"))
  }

  private mutating func parseEscape(_ decoded: inout ByteBuffer) throws(Failure) {
    guard offset + 1 < bytes.count else { throw syntax("a string has no end") }
    let byte: UInt8
    switch bytes[offset + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte = bytes[offset + 1]
    case UInt8(ascii: "b"): byte = 0x08
    case UInt8(ascii: "f"): byte = 0x0c
    case UInt8(ascii: "n"): byte = 0x0a
    case UInt8(ascii: "r"): byte = 0x0d
    case UInt8(ascii: "t"): byte = 0x09
    case UInt8(ascii: "u"):
      decoded.append(utf8: try parseUnicodeEscape())
      return
    default: throw syntax("no such escape")
    }
    decoded.append(byte)
    offset += 2
  }

  /// `\uXXXX`, or the two of a surrogate pair, which only together are a character.
  private mutating func parseUnicodeEscape() throws(Failure) -> UInt32 {
    let start = offset
    guard let first = hexadecimalUnit(at: offset) else {
      throw syntax("four hexadecimal digits must follow \\u")
    }
    offset += 6
    guard 0xd800...0xdfff ~= first else { return first }
    guard first < 0xdc00, let second = hexadecimalUnit(at: offset), 0xdc00...0xdfff ~= second
    else { throw failure("bad_json", "a surrogate stands alone", start) }
    offset += 6
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
  }

  private func hexadecimalUnit(at start: Int) -> UInt32? {
    guard start + 6 <= bytes.count, bytes[start] == UInt8(ascii: "\\"),
      bytes[start + 1] == UInt8(ascii: "u")
    else { return nil }
    var unit: UInt32 = 0
    for index in start + 2..<start + 6 {
      guard let digit = bytes[index].hexadecimalValue else { return nil }
      unit = unit << 4 | UInt32(digit)
    }
    return unit
  }

  /// One character of two to four bytes, by the table of well-formed UTF-8 (Unicode, table 3-7).
  private mutating func skipScalar() throws(Failure) {
    let first = bytes[offset]
    let count: Int
    var second: ClosedRange<UInt8> = 0x80...0xbf
    switch first {
    case 0xc2...0xdf: count = 2
    case 0xe0...0xef:
      count = 3
      if first == 0xe0 { second = 0xa0...0xbf }
      if first == 0xed { second = 0x80...0x9f }
    case 0xf0...0xf4:
      count = 4
      if first == 0xf0 { second = 0x90...0xbf }
      if first == 0xf4 { second = 0x80...0x8f }
    default: throw syntax("the bytes are not UTF-8")
    }
    guard offset + count <= bytes.count, second.contains(bytes[offset + 1]) else {
      throw syntax("the bytes are not UTF-8")
    }
    for index in offset + 2..<max(offset + 2, offset + count) where bytes[index] & 0xc0 != 0x80 {
      throw syntax("the bytes are not UTF-8")
    }
    offset += count
  }

  // MARK: Between strings

  private mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case .space, .tab, .lineFeed, .carriageReturn: offset += 1
      default: return
      }
    }
  }

  private mutating func next() -> UInt8? {
    skipSpace()
    return offset < bytes.count ? bytes[offset] : nil
  }

  private mutating func expect(_ byte: UInt8, _ what: StaticString) throws(Failure) {
    guard next() == byte else { throw failure("bad_json", "\(what) is expected", offset) }
    offset += 1
  }

  private func syntax(_ what: StaticString) -> Failure { failure("bad_json", "\(what)", offset) }

  private func failure(_ code: String, _ what: String, _ offset: Int) -> Failure {
    .badRequest(
      code, "The body is not {\"key\":string,\"value\":string}: at byte \(offset), \(what).")
  }
}
