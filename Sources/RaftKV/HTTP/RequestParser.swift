/// Reads one request's head (RFC 9112 §2 to §5), strictly: what two implementations might read
/// differently is refused, because a proxy in front of us may be the other one.
///
/// It is fed the connection's unconsumed bytes, each time from the same first byte, and remembers
/// how far it has looked; so bytes that come one by one cost as much as bytes that come at once,
/// and give the same answer. Every verdict depends only on bytes up to its position, never on
/// where the input was cut.
///
/// ```
///   GET /key?key=a HTTP/1.1 CR LF   Host: h CR LF   … CR LF   CR LF   body
///   .method .target .version        .fields                   ^ length
/// ```
package struct RequestParser {
  package enum Result: Equatable, Sendable {
    case needMore
    case head(RequestHead)
    /// The connection cannot be understood any further: answer and close.
    case malformed(Failure)
  }

  private enum Stage { case method, target, version, fields }

  private var stage = Stage.method
  private var head = RequestHead()
  /// Where the line, or the part of the request line, that is being read began.
  private var start = 0
  /// Invariant: start <= scanned; the bytes between them are known not to end it.
  private var scanned = 0
  private var emptyLines = 0
  private var fieldCount = 0
  private var host: Range<Int>?
  /// The authority of an absolute-form target.
  private var authority: Range<Int>?
  private var contentLength: Int?
  private var isChunked = false
  private var closes = false
  private var asksKeepAlive = false

  package init() {}

  /// Judges `bytes`, the whole unconsumed input. After `.head` the parser is ready for the next
  /// request.
  package mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Result {
    do throws(Failure) {
      if stage == .method, try !parseMethod(bytes) { return .needMore }
      if stage == .target, try !parseTarget(bytes) { return .needMore }
      if stage == .version, try !parseVersion(bytes) { return .needMore }
      guard try parseFields(bytes) else { return .needMore }
      try finish(bytes)
    } catch {
      return .malformed(error)
    }
    let result = head
    self = RequestParser()
    return .head(result)
  }

  // MARK: Request line

  private mutating func parseMethod(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Bool {
    while start < bytes.count, bytes[start] == .carriageReturn {
      guard start + 1 < bytes.count else { return false }
      guard bytes[start + 1] == .lineFeed, emptyLines < HTTPLimits.maximumEmptyLines else {
        throw .badRequest("bad_request_line", "The request does not begin with a method.")
      }
      emptyLines += 1
      start += 2
    }
    let limit = min(bytes.count, start + HTTPLimits.maximumMethod + 1)
    var end = max(start, scanned)
    while end < limit, bytes[end].isToken { end += 1 }
    scanned = end
    guard end < limit else {
      if end == start + HTTPLimits.maximumMethod + 1 { throw .methodNotImplemented }
      return false
    }
    guard end > start, bytes[end] == .space else {
      throw .badRequest("bad_request_line", "The request does not begin with a method.")
    }
    if end == start + HTTPLimits.maximumMethod + 1 { throw .methodNotImplemented }
    head.method = Method(bytes.slice(start..<end))
    begin(.target, at: end + 1)
    return true
  }

  private mutating func parseTarget(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Bool {
    let limit = min(bytes.count, start + HTTPLimits.maximumTarget + 1)
    while scanned + 8 <= limit {
      let word = bytes.word(at: scanned)
      guard word.isASCII, !word.hasByte(below: 0x21), !word.has(0x7f), !word.has(UInt8(ascii: "#"))
      else { break }
      if word.has(UInt8(ascii: "%")) || word.has(UInt8(ascii: "+")) { head.isEncoded = true }
      scanned += 8
    }
    while scanned < limit, bytes[scanned].isTarget {
      let byte = bytes[scanned]
      if byte == UInt8(ascii: "%") || byte == UInt8(ascii: "+") { head.isEncoded = true }
      scanned += 1
    }
    guard scanned < limit else {
      if scanned > start + HTTPLimits.maximumTarget { throw .targetTooLong }
      return false
    }
    guard scanned > start, bytes[scanned] == .space else {
      throw .badRequest(
        "bad_target",
        "The request target is empty, ends the line, or holds a byte that must be escaped.")
    }
    try splitTarget(bytes, start..<scanned)
    begin(.version, at: scanned + 1)
    return true
  }

  /// Origin form, absolute form, and `*` for OPTIONS (§3.2). CONNECT is refused later, as a method.
  private mutating func splitTarget(
    _ bytes: UnsafeRawBufferPointer, _ target: Range<Int>
  ) throws(Failure) {
    var pathStart = target.lowerBound
    if bytes[pathStart] == UInt8(ascii: "*"), target.count == 1, head.method == .options {
      head.isAsterisk = true
    } else if target.count >= 7,
      bytes.slice(pathStart..<pathStart + 7).equalsIgnoringCase("http://")
    {
      pathStart += 7
      var end = pathStart
      while end < target.upperBound, bytes[end] != UInt8(ascii: "/"),
        bytes[end] != UInt8(ascii: "?")
      {
        end += 1
      }
      guard end > pathStart, Authority.isValid(bytes.slice(pathStart..<end)) else {
        throw .badRequest("bad_target", "The request target's host is not a host.")
      }
      authority = pathStart..<end
      pathStart = end
    } else if bytes[pathStart] != UInt8(ascii: "/"), head.method != .connect {
      throw .badRequest("bad_target", "The request target must begin with `/` or `http://`.")
    }
    let mark = bytes.firstIndex(of: UInt8(ascii: "?"), in: pathStart..<target.upperBound)
    head.path = pathStart..<(mark ?? target.upperBound)
    head.query = mark.map { $0 + 1..<target.upperBound } ?? target.upperBound..<target.upperBound
  }

  /// `HTTP/1.1` CR LF, byte by byte: the first that differs is the end of it.
  private mutating func parseVersion(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Bool {
    let pattern: StaticString = "HTTP/1.1\r\n"
    for offset in 0..<pattern.utf8CodeUnitCount {
      guard start + offset < bytes.count else { return false }
      let byte = bytes[start + offset]
      let matches = offset == 5 || offset == 7 ? byte.isDigit : byte == pattern.utf8Start[offset]
      guard matches else {
        throw .badRequest("bad_request_line", "The request line does not end with ` HTTP/1.1`.")
      }
    }
    guard bytes[start + 5] == UInt8(ascii: "1") else { throw .versionNotSupported }
    head.minorVersion = bytes[start + 7] == UInt8(ascii: "0") ? 0 : 1
    begin(.fields, at: start + pattern.utf8CodeUnitCount)
    return true
  }

  private mutating func begin(_ next: Stage, at position: Int) {
    stage = next
    start = position
    scanned = position
  }

  // MARK: Fields

  private mutating func parseFields(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Bool {
    while true {
      // The line feed must come before whichever limit comes first.
      let fieldLimit = start + HTTPLimits.maximumField + 2
      let limit = min(fieldLimit, HTTPLimits.maximumHead)
      guard
        let end = bytes.firstIndex(
          of: .lineFeed, in: scanned..<max(scanned, min(limit, bytes.count)))
      else {
        guard bytes.count < limit else { throw limit == fieldLimit ? .fieldTooLong : .headTooLong }
        scanned = bytes.count
        return false
      }
      guard end > start, bytes[end - 1] == .carriageReturn else {
        throw .badRequest("bad_line_end", "A line of the head does not end with CR LF.")
      }
      guard end - 1 > start else {
        head.length = end + 1
        return true
      }
      fieldCount += 1
      guard fieldCount <= HTTPLimits.maximumFields else { throw .tooManyFields }
      try take(FieldLine(bytes.slice(start..<end - 1)), in: bytes)
      begin(.fields, at: end + 1)
    }
  }

  private mutating func take(
    _ field: FieldLine, in bytes: UnsafeRawBufferPointer
  ) throws(Failure) {
    switch field.known {
    case .other: return
    case .requestID:
      // One that could not stand in a header or a log line as it is was not made for us.
      guard head.requestID.isEmpty, 1...HTTPLimits.maximumRequestID ~= field.value.count,
        field.value.allSatisfy(\.isRequestID)
      else { return }
      let offset = field.value.baseAddress! - bytes.baseAddress!
      head.requestID = offset..<offset + field.value.count
    case .host:
      guard host == nil else { throw .badRequest("bad_host", "The request has two Host fields.") }
      guard field.value.isEmpty || Authority.isValid(field.value) else {
        throw .badRequest("bad_host", "The Host field is not a host.")
      }
      let offset = field.value.baseAddress! - bytes.baseAddress!
      host = offset..<offset + field.value.count
    case .connection: try takeConnection(field.value)
    case .contentLength:
      // Even equal repetitions are refused: no honest client sends them.
      guard contentLength == nil, let length = Self.decimal(field.value) else {
        throw .badRequest("bad_content_length", "Content-Length must be one decimal number.")
      }
      contentLength = length
    case .transferEncoding: try takeTransferEncoding(field.value)
    case .expect:
      // HTTP/1.0 clients cannot wait for an interim answer (RFC 9110 §10.1.1).
      guard head.minorVersion > 0 else { return }
      if field.value.equalsIgnoringCase("100-continue") {
        head.expectsContinue = true
      } else {
        head.hasUnknownExpectation = true
      }
    }
  }

  private mutating func takeConnection(_ value: UnsafeRawBufferPointer) throws(Failure) {
    var (closes, asksKeepAlive) = (closes, asksKeepAlive)
    try FieldLine.forEachMember(of: value) { member throws(Failure) in
      if member.equalsIgnoringCase("close") { closes = true }
      if member.equalsIgnoringCase("keep-alive") { asksKeepAlive = true }
    }
    self.closes = closes
    self.asksKeepAlive = asksKeepAlive
  }

  private mutating func takeTransferEncoding(_ value: UnsafeRawBufferPointer) throws(Failure) {
    var isChunked = isChunked
    var hasUnknownCoding = false
    try FieldLine.forEachMember(of: value) { member throws(Failure) in
      guard !isChunked, !member.isEmpty, member.allSatisfy(\.isToken) else {
        throw .badRequest("bad_transfer_encoding", "Transfer-Encoding must be `chunked`, once.")
      }
      if member.equalsIgnoringCase("chunked") { isChunked = true } else { hasUnknownCoding = true }
    }
    if hasUnknownCoding { throw .codingNotImplemented }
    self.isChunked = isChunked
  }

  /// `1*DIGIT`, at most Int64.max.
  private static func decimal(_ value: UnsafeRawBufferPointer) -> Int? {
    guard !value.isEmpty else { return nil }
    var result = 0
    for byte in value {
      guard byte.isDigit else { return nil }
      let (product, overflowed) = result.multipliedReportingOverflow(by: 10)
      let (sum, carried) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      guard !overflowed, !carried else { return nil }
      result = sum
    }
    return result
  }

  // MARK: The head as a whole

  private mutating func finish(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
    if host == nil, head.minorVersion > 0 {
      throw .badRequest("bad_host", "An HTTP/1.1 request needs a Host field.")
    }
    if let host, let authority,
      !Authority.areEqual(bytes.slice(host), bytes.slice(authority))
    {
      throw .badRequest("bad_host", "The Host field and the request target name different hosts.")
    }
    if isChunked {
      // Both fields at once are how requests are smuggled (§6.1); in HTTP/1.0 the coding is a
      // fault.
      guard contentLength == nil, head.minorVersion > 0 else {
        throw .badRequest(
          "bad_framing", "Transfer-Encoding cannot go with Content-Length, nor with HTTP/1.0.")
      }
      head.framing = .chunked
    } else if let contentLength, contentLength > 0 {
      head.framing = .length(contentLength)
    }
    head.statesLength = contentLength != nil
    head.keepsAlive = !closes && (head.minorVersion > 0 || asksKeepAlive)
  }
}
