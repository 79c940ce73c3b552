extension ReferenceServer {
  mutating func readBody(_ head: Head, _ target: Target) throws -> [UInt8] {
    let limit: Int
    var status = 413
    switch target {
    case .put: limit = maximumValue
    case .post: limit = 6 * (maximumValue + 4096) + 1024
    case .request: limit = 65536
    case .failure(let failure):
      limit = 65536
      status = failure
    }
    let length = head.lengths.first ?? 0
    guard head.isChunked || length > 0 else { return [] }
    if length > limit { throw Refused(status) }
    if head.expectsContinue, rest.isEmpty {
      // The client waits to be told whether its body is wanted.
      if case .failure(let failure) = target { throw Refused(failure) }
      throw Incomplete()
    }
    if head.isChunked { return try readChunks(limit: limit) }
    guard rest.count >= length else { throw Incomplete() }
    defer { rest = rest.dropFirst(length) }
    return Array(rest.prefix(length))
  }

  private mutating func readChunks(limit: Int) throws -> [UInt8] {
    var body: [UInt8] = []
    var overhead = 0
    var extensions = 0
    while true {
      guard let end = rest.firstIndex(of: 10) else { throw Incomplete() }
      let line = Array(rest[..<end])
      rest = rest[(end + 1)...]
      overhead += line.count + 1
      let (size, count) = try Self.chunkSize(line, limit: limit)
      extensions += count
      guard extensions <= 4096, overhead <= 16384 + body.count else { throw Refused(400) }
      guard size <= limit - body.count else { throw Refused(413) }
      if size == 0 { break }
      guard rest.count >= size else { throw Incomplete() }
      body += rest.prefix(size)
      rest = rest.dropFirst(size)
      overhead += 2
      let ending = Array(rest.prefix(2))
      guard [13, 10].starts(with: ending), overhead <= 16384 + body.count else {
        throw Refused(400)
      }
      guard ending.count == 2 else { throw Incomplete() }
      rest = rest.dropFirst(2)
    }
    try readTrailers()
    return body
  }

  /// The size that a chunk's first line says, at most `limit + 1`, and the length of its extension.
  private static func chunkSize(_ line: [UInt8], limit: Int) throws -> (Int, Int) {
    guard line.last == 13 else { throw Refused(400) }
    let parts = line.dropLast().split(
      separator: UInt8(ascii: ";"), maxSplits: 1, omittingEmptySubsequences: false)
    let digits = parts[0]
    guard (1...16).contains(digits.count), digits.allSatisfy({ Character(.init($0)).isHexDigit })
    else { throw Refused(400) }
    guard let size = UInt64(String(decoding: digits, as: UTF8.self), radix: 16) else {
      throw Refused(400)
    }
    var count = 0
    if parts.count == 2 {
      count = parts[1].count
      guard count <= 256, parts[1].allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 }) else {
        throw Refused(400)
      }
    }
    return (Int(min(size, UInt64(limit + 1))), count)
  }

  private mutating func readTrailers() throws {
    var used = 0
    var fields = 0
    while true {
      guard let end = rest.firstIndex(of: 10), used + end + 1 - rest.startIndex <= 8192 else {
        if used + rest.count >= 8192 { throw Refused(431) }
        throw Incomplete()
      }
      let line = Array(rest[..<end])
      used += line.count + 1
      guard line.last == 13 else { throw Refused(400) }
      rest = rest[(end + 1)...]
      if line.count == 1 { return }
      fields += 1
      if fields > 100 { throw Refused(431) }
      let (name, _) = try Self.field(line.dropLast())
      if ["host", "content-length", "transfer-encoding"].contains(name) { throw Refused(400) }
    }
  }
}

/// `{"key":K,"value":V}`, once more.
enum ReferenceJSON {
  private struct Malformed: Error {}

  static func keyAndValue(_ body: [UInt8]) -> ([UInt8], [UInt8])? {
    guard let text = String(validating: body, as: UTF8.self) else { return nil }
    var rest = Array(text.unicodeScalars)[...]
    return try? object(&rest)
  }

  private static func object(
    _ rest: inout ArraySlice<Unicode.Scalar>
  ) throws -> ([UInt8], [UInt8]) {
    var members: [String: String] = [:]
    try skip("{", &rest)
    if next(&rest) == "}" { throw Malformed() }
    var separator: Unicode.Scalar
    repeat {
      let name = try string(&rest)
      try skip(":", &rest)
      let value = try string(&rest)
      // By scalars: two spellings of one character are two names.
      guard
        name.unicodeScalars.elementsEqual("key".unicodeScalars)
          || name.unicodeScalars.elementsEqual("value".unicodeScalars), members[name] == nil
      else { throw Malformed() }
      members[name] = value
      guard let scalar = next(&rest), scalar == "," || scalar == "}" else { throw Malformed() }
      separator = scalar
      rest.removeFirst()
    } while separator == ","
    guard next(&rest) == nil, let key = members["key"], let value = members["value"] else {
      throw Malformed()
    }
    return (Array(key.utf8), Array(value.utf8))
  }

  private static func next(_ rest: inout ArraySlice<Unicode.Scalar>) -> Unicode.Scalar? {
    rest = rest.drop { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" }
    return rest.first
  }

  private static func skip(
    _ scalar: Unicode.Scalar, _ rest: inout ArraySlice<Unicode.Scalar>
  ) throws {
    guard next(&rest) == scalar else { throw Malformed() }
    rest.removeFirst()
  }

  private static func string(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> String {
    try skip("\"", &rest)
    // As UTF-16, in which an escape is one unit; halves that do not pair make the text invalid.
    var units: [UInt16] = []
    while let scalar = rest.popFirst() {
      switch scalar {
      case "\"":
        guard let text = String(validating: units, as: UTF16.self) else { throw Malformed() }
        return text
      case "\\": units.append(try escape(&rest))
      case "\u{0}"..."\u{1f}": throw Malformed()
      default: units += Array(String(scalar).utf16)
      }
    }
    throw Malformed()
  }

  private static func escape(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> UInt16 {
    switch rest.popFirst() {
    case "\""?: return 0x22
    case "\\"?: return 0x5c
    case "/"?: return 0x2f
    case "b"?: return 0x08
    case "f"?: return 0x0c
    case "n"?: return 0x0a
    case "r"?: return 0x0d
    case "t"?: return 0x09
    case "u"?:
      let digits = rest.prefix(4)
      guard digits.count == 4, digits.allSatisfy({ $0.isASCII && Character($0).isHexDigit }),
        let unit = UInt16(String(String.UnicodeScalarView(digits)), radix: 16)
      else { throw Malformed() }
      rest = rest.dropFirst(4)
      return unit
    default: throw Malformed()
    }
  }
}
