/// An HTTP/1.1 answer as our own servers, and a plain proxy before them, give it: a status line,
/// fields, and a body of known length, or one that ends with the connection. Chunked answers are
/// malformed to us; we never send one to such a request.
struct HTTPAnswer {
  /// Far more than any answer to `/join` or `/status`; a stranger's page must not fill our memory.
  static let maximumSize = 64 << 10

  enum Parse {
    case needsMore
    case malformed
    case answer(HTTPAnswer)
  }

  var status: Int
  var location: String?
  var body: [UInt8]

  /// `isComplete`: the connection has ended, no byte follows.
  static func parse(_ bytes: UnsafeRawBufferPointer, isComplete: Bool) -> Parse {
    guard let headSize = headSize(bytes) else {
      // Whatever does not begin like HTTP never will.
      let prefix = Array("HTTP/1.".utf8)
      return zip(bytes, prefix).allSatisfy { $0 == $1 } ? .needsMore : .malformed
    }
    guard let head = String(validating: bytes[..<headSize], as: UTF8.self) else {
      return .malformed
    }
    let lines = head.split(separator: "\r\n", omittingEmptySubsequences: true)
    guard let first = lines.first, let status = status(in: first) else { return .malformed }
    // An interim answer stands before the real one.
    if (100..<200).contains(status) {
      return parse(UnsafeRawBufferPointer(rebasing: bytes[headSize...]), isComplete: isComplete)
    }
    var answer = HTTPAnswer(status: status, location: nil, body: [])
    var length: Int?
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { return .malformed }
      let name = line[..<colon].lowercased()
      let value = trimmed(line[line.index(after: colon)...])
      switch name {
      case "location": answer.location = String(value)
      case "transfer-encoding": return .malformed
      case "content-length":
        guard length == nil, let number = Int(value), number >= 0 else { return .malformed }
        length = number
      default: break
      }
    }
    let rest = bytes[headSize...]
    guard let length else {
      guard isComplete || status == 204 || status == 304 else { return .needsMore }
      answer.body = status == 204 || status == 304 ? [] : Array(rest)
      return .answer(answer)
    }
    guard rest.count >= length else { return .needsMore }
    answer.body = Array(rest.prefix(length))
    return .answer(answer)
  }

  /// The bytes through the empty line, nil while there is none.
  private static func headSize(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count >= 4 else { return nil }
    for end in 4...bytes.count
    where bytes[end - 4] == 13 && bytes[end - 3] == 10 && bytes[end - 2] == 13
      && bytes[end - 1] == 10
    {
      return end
    }
    return nil
  }

  /// `HTTP/1.1 307 Temporary Redirect`
  private static func status(in line: Substring) -> Int? {
    let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count >= 2, parts[0] == "HTTP/1.1" || parts[0] == "HTTP/1.0",
      parts[1].utf8.count == 3, let status = Int(parts[1]), (100...599).contains(status)
    else { return nil }
    return status
  }

  private static func trimmed(_ value: Substring) -> Substring {
    var value = value
    while let first = value.first, first == " " || first == "\t" { value.removeFirst() }
    while let last = value.last, last == " " || last == "\t" { value.removeLast() }
    return value
  }
}
