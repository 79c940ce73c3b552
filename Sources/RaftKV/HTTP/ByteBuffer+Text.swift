/// Numbers and JSON as text, without a String.
extension ByteBuffer {
  /// Appends an integer's decimal digits.
  mutating func append(decimal value: UInt64) {
    append(upTo: 20) { target in
      var digits = 1
      var rest = value / 10
      while rest > 0 {
        digits += 1
        rest /= 10
      }
      rest = value
      var index = digits
      while index > 0 {
        index -= 1
        target[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      }
      return digits
    }
  }

  mutating func append(decimal value: Int) {
    precondition(value >= 0, "counts and times are not negative")
    append(decimal: UInt64(value))
  }

  /// Appends sixteen hexadecimal digits, in lower case as identifiers are shown everywhere.
  mutating func append(hexadecimal value: UInt64) {
    for shift in stride(from: 60, through: 0, by: -4) {
      let digit = Self.hexadecimalDigit(UInt8(value >> UInt64(shift) & 15))
      append(digit.isLetter ? digit | 0x20 : digit)
    }
  }

  /// In upper case, as RFC 3986 §2.1 asks of escapes.
  static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
  }

  /// Appends the UTF-8 form of a Unicode scalar value.
  mutating func append(utf8 scalar: UInt32) {
    switch scalar {
    case ..<0x80:
      append(UInt8(scalar))
    case ..<0x800:
      append(UInt8(0xc0 | scalar >> 6))
      append(UInt8(0x80 | scalar & 63))
    case ..<0x10000:
      append(UInt8(0xe0 | scalar >> 12))
      append(UInt8(0x80 | scalar >> 6 & 63))
      append(UInt8(0x80 | scalar & 63))
    default:
      append(UInt8(0xf0 | scalar >> 18))
      append(UInt8(0x80 | scalar >> 12 & 63))
      append(UInt8(0x80 | scalar >> 6 & 63))
      append(UInt8(0x80 | scalar & 63))
    }
  }

  /// Appends a JSON string with its quotes.
  mutating func append(json text: String) {
    append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        append(UInt8(ascii: "\\"))
        append(byte)
      case 0..<0x20:
        append("\\u00" as StaticString)
        append(Self.hexadecimalDigit(byte >> 4))
        append(Self.hexadecimalDigit(byte & 15))
      default:
        append(byte)
      }
    }
    append(UInt8(ascii: "\""))
  }

  /// Appends a target or an address for a header field: what is no URI character becomes an
  /// escape, so that nothing a client sent can end the line.
  mutating func append(uri bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      if byte.isPathOrQuery || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]") {
        append(byte)
      } else {
        append(UInt8(ascii: "%"))
        append(Self.hexadecimalDigit(byte >> 4))
        append(Self.hexadecimalDigit(byte & 15))
      }
    }
  }
}
