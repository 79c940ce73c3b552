/// One `name: value` line without its line end (RFC 9112 §5): in a head, or behind the last chunk.
struct FieldLine {
  var name: UnsafeRawBufferPointer
  /// Without the white space around it.
  var value: UnsafeRawBufferPointer

  init(_ line: UnsafeRawBufferPointer) throws(Failure) {
    var colon = 0
    while colon < line.count, line[colon].isToken { colon += 1 }
    // A leading space is a folded line, one before the colon has split firewalls from servers;
    // neither is a token, nor is an empty name.
    guard colon > 0, colon < line.count, line[colon] == UInt8(ascii: ":") else {
      throw .badRequest("bad_field", "A header field is not of the form `name: value`.")
    }
    guard Self.isValue(line, from: colon + 1) else {
      throw .badRequest("bad_field", "A header field's value holds a control character.")
    }
    name = line.slice(0..<colon)
    value = line.slice(line.trimmed(colon + 1..<line.count))
  }

  private static func isValue(_ line: UnsafeRawBufferPointer, from start: Int) -> Bool {
    var index = start
    while index < line.count {
      if index + 8 <= line.count {
        let word = line.word(at: index)
        if !word.hasByte(below: 0x20), !word.has(0x7f) {
          index += 8
          continue
        }
      }
      guard line[index].isFieldValue else { return false }
      index += 1
    }
    return true
  }

  enum Known { case host, connection, contentLength, transferEncoding, expect, requestID, other }

  /// Which of the fields that matter this is, by length first.
  var known: Known {
    switch name.count {
    case 4: return name.equalsIgnoringCase("host") ? .host : .other
    case 6: return name.equalsIgnoringCase("expect") ? .expect : .other
    case 10: return name.equalsIgnoringCase("connection") ? .connection : .other
    case 12: return name.equalsIgnoringCase("x-request-id") ? .requestID : .other
    case 14: return name.equalsIgnoringCase("content-length") ? .contentLength : .other
    case 17: return name.equalsIgnoringCase("transfer-encoding") ? .transferEncoding : .other
    default: return .other
    }
  }

  /// Calls `body` with each member of a comma-separated list, trimmed; empty members too.
  static func forEachMember(
    of value: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    var start = 0
    while true {
      let end = value.firstIndex(of: UInt8(ascii: ","), in: start..<value.count) ?? value.count
      try body(value.slice(value.trimmed(start..<end)))
      guard end < value.count else { return }
      start = end + 1
    }
  }
}
