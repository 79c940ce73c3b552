/// The character classes of RFC 9110 and RFC 3986, as questions to one byte.
extension UInt8 {
  static let tab: UInt8 = 0x09
  static let lineFeed: UInt8 = 0x0a
  static let carriageReturn: UInt8 = 0x0d
  static let space: UInt8 = 0x20

  var isDigit: Bool { self &- 0x30 < 10 }
  var isLetter: Bool { (self | 0x20) &- 0x61 < 26 }

  /// `tchar` (RFC 9110 §5.6.2): the bytes of 0x21...0x7e that are no delimiter, as two 64-bit sets.
  var isToken: Bool {
    switch self {
    case 0x00...0x3f: return 0x03ff_6cfa_0000_0000 & (1 << UInt64(self)) != 0
    case 0x40...0x7f: return 0x57ff_ffff_c7ff_fffe & (1 << UInt64(self - 0x40)) != 0
    default: return false
    }
  }

  /// What a field value may hold: visible bytes, those above 0x7f, space and tab (§5.5).
  var isFieldValue: Bool { self >= 0x20 && self != 0x7f || self == .tab }

  /// Visible ASCII but `#`: a target has no fragment (RFC 9112 §3.2).
  var isTarget: Bool { self > 0x20 && self < 0x7f && self != UInt8(ascii: "#") }

  /// What a registered name may hold: unreserved, sub-delims (`!$&'()*+,;=`), and `%` (RFC 3986
  /// §3.2.2), as two 64-bit sets.
  var isHostName: Bool {
    switch self {
    case 0x00...0x3f: return 0x2bff_7ff2_0000_0000 & (1 << UInt64(self)) != 0
    case 0x40...0x7f: return 0x47ff_fffe_87ff_fffe & (1 << UInt64(self - 0x40)) != 0
    default: return false
    }
  }

  /// What ids are made of: UUIDs, base 64, trace contexts.
  var isRequestID: Bool {
    if isLetter || isDigit { return true }
    switch self {
    case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"),
      UInt8(ascii: "/"), UInt8(ascii: "+"), UInt8(ascii: "="), UInt8(ascii: "@"):
      return true
    default: return false
    }
  }

  /// What may stand in a path or query as it is; everything else is written as an escape.
  var isPathOrQuery: Bool {
    isHostName || self == UInt8(ascii: "/") || self == UInt8(ascii: "?")
      || self == UInt8(ascii: ":") || self == UInt8(ascii: "@")
  }

  /// 0...15, or nil where the byte is no hexadecimal digit.
  var hexadecimalValue: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): return self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): return self - UInt8(ascii: "A") + 10
    default: return nil
    }
  }
}

extension UnsafeRawBufferPointer {
  /// A part of these bytes, still borrowed, counted from its own zero.
  func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[range])
  }

  /// `text` is in lower case.
  func equalsIgnoringCase(_ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    for index in 0..<count {
      let byte = self[index]
      guard (byte.isLetter ? byte | 0x20 : byte) == text.utf8Start[index] else { return false }
    }
    return true
  }

  func equalsIgnoringCase(_ other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    for index in 0..<count where self[index] != other[index] {
      guard self[index].isLetter, self[index] ^ other[index] == 0x20 else { return false }
    }
    return true
  }

  func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
    var index = range.lowerBound
    while index + 8 <= range.upperBound {
      if let offset = word(at: index).firstIndex(of: byte) { return index + offset }
      index += 8
    }
    while index < range.upperBound {
      if self[index] == byte { return index }
      index += 1
    }
    return nil
  }

  /// `range` without the spaces and tabs at its ends.
  func trimmed(_ range: Range<Int>) -> Range<Int> {
    var lower = range.lowerBound
    var upper = range.upperBound
    while lower < upper, self[lower] == .space || self[lower] == .tab { lower += 1 }
    while upper > lower, self[upper - 1] == .space || self[upper - 1] == .tab { upper -= 1 }
    return lower..<upper
  }
}

extension UnsafeRawBufferPointer {
  /// The eight bytes from `offset` on; they must be there.
  func word(at offset: Int) -> ByteWord {
    ByteWord(bits: loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
  }
}

/// Eight bytes that are asked at once. Each question is answered by a subtraction that borrows into
/// the top bit of a byte that is small enough; answers are exact for the word as a whole, and for
/// its first byte that fits.
struct ByteWord {
  let bits: UInt64

  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let tops: UInt64 = 0x8080_8080_8080_8080

  private static func zeroes(in bits: UInt64) -> UInt64 { (bits &- ones) & ~bits & tops }

  func has(_ byte: UInt8) -> Bool { Self.zeroes(in: bits ^ Self.ones &* UInt64(byte)) != 0 }

  func firstIndex(of byte: UInt8) -> Int? {
    let found = Self.zeroes(in: bits ^ Self.ones &* UInt64(byte))
    return found == 0 ? nil : found.trailingZeroBitCount / 8
  }

  /// `limit` is at most 0x80.
  func hasByte(below limit: UInt8) -> Bool {
    (bits &- Self.ones &* UInt64(limit)) & ~bits & Self.tops != 0
  }

  var isASCII: Bool { bits & Self.tops == 0 }
}
