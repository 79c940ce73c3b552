import RaftKV

/// The rules of our HTTP once more, slow and obvious: the whole input at once, in arrays and
/// strings, without limits on work. It shares no code with the server, so that both must be wrong
/// in the same way to be wrong unnoticed.
package struct ReferenceServer {
  package enum End: Equatable {
    /// Everything was answered, and another request may come.
    case open
    /// The last request is not whole. Whether it is refused already is not for us to say.
    case incomplete
    case closed
  }

  package struct Outcome {
    /// The requests that reached the handler, as `describe` has them.
    package var asked: [String] = []
    /// Of the final responses, in order.
    package var statuses: [Int] = []
    package var end = End.open
  }

  /// Answered, and the connection goes.
  struct Refused: Error {
    var status: Int
    init(_ status: Int) { self.status = status }
  }
  struct Incomplete: Error {}
  /// Answered, but the connection may stay.
  struct Failed: Error {
    var status: Int
    init(_ status: Int) { self.status = status }
  }

  /// A head, understood.
  struct Head {
    var method = ""
    var path: [UInt8] = []
    var query: [UInt8] = []
    var isAsterisk = false
    var authority: [UInt8]?
    var minor = 1
    var hosts: [[UInt8]] = []
    var lengths: [Int] = []
    var isChunked = false
    var closes = false
    var asksKeepAlive = false
    var expectsContinue = false
    var expectsMore = false
  }

  /// What a request asks for, before its body is known.
  enum Target {
    case request(String)
    case put([UInt8])
    case post
    case failure(Int)
  }

  let maximumValue: Int
  var rest: ArraySlice<UInt8>
  var outcome = Outcome()

  package static func serve(_ bytes: [UInt8], maximumValue: Int) -> Outcome {
    var server = ReferenceServer(maximumValue: maximumValue, rest: bytes[...])
    while server.outcome.end == .open, !server.rest.isEmpty {
      do {
        if try !server.serveOne() { server.outcome.end = .closed }
      } catch let refused as Refused {
        server.outcome.statuses.append(refused.status)
        server.outcome.end = .closed
      } catch {
        server.outcome.end = .incomplete
      }
    }
    return server.outcome
  }

  private init(maximumValue: Int, rest: ArraySlice<UInt8>) {
    self.maximumValue = maximumValue
    self.rest = rest
  }

  /// Returns whether the connection stays.
  private mutating func serveOne() throws -> Bool {
    let head = try readHead()
    if head.expectsMore { throw Refused(417) }
    let target: Target
    do { target = try route(head) } catch let failed as Failed { target = .failure(failed.status) }
    let body = try readBody(head, target)
    let keeps =
      head.method != "CONNECT" && !head.closes && (head.minor > 0 || head.asksKeepAlive)
    do {
      outcome.asked.append(try request(target, body))
      outcome.statuses.append(200)
    } catch let failed as Failed {
      outcome.statuses.append(failed.status)
    }
    return keeps
  }

  private func request(_ target: Target, _ body: [UInt8]) throws -> String {
    switch target {
    case .failure(let status): throw Failed(status)
    case .request(let description): return description
    case .put(let key): return Self.describePut(key, body)
    case .post:
      guard let (key, value) = ReferenceJSON.keyAndValue(body) else { throw Failed(400) }
      guard (1...4096).contains(key.count) else { throw Failed(400) }
      guard value.count <= maximumValue else { throw Failed(413) }
      return Self.describePut(key, value)
    }
  }

  package static func describePut(
    _ key: some Sequence<UInt8>, _ value: some Sequence<UInt8>
  ) -> String {
    "put \(Array(key)) \(Array(value))"
  }

  // MARK: Head

  private mutating func readHead() throws -> Head {
    let whole = rest
    var head = Head()
    var emptyLines = 0
    while rest.first == 13 {
      guard rest.count >= 2 else { throw Incomplete() }
      emptyLines += 1
      guard Array(rest.prefix(2)) == [13, 10], emptyLines <= 2 else { throw Refused(400) }
      rest = rest.dropFirst(2)
    }
    head.method = try readMethod()
    try splitTarget(try readTarget(), &head)
    head.minor = try readVersion()
    var fields = 0
    while true {
      let line = try readLine(from: whole)
      if line.isEmpty { break }
      fields += 1
      if fields > 100 { throw Refused(431) }
      let (name, value) = try Self.field(line)
      try note(name, value, &head)
    }
    if head.minor > 0, head.hosts.isEmpty { throw Refused(400) }
    if let host = head.hosts.first, let authority = head.authority,
      ReferenceAuthority.normal(host) != ReferenceAuthority.normal(authority)
    {
      throw Refused(400)
    }
    if head.isChunked, !head.lengths.isEmpty || head.minor == 0 { throw Refused(400) }
    return head
  }

  private mutating func readMethod() throws -> String {
    let name = rest.prefix(while: Self.isToken)
    if name.count > 16 { throw Refused(501) }
    guard name.count < rest.count else { throw Incomplete() }
    guard !name.isEmpty, rest[name.endIndex] == 0x20 else { throw Refused(400) }
    rest = rest[(name.endIndex + 1)...]
    return String(decoding: name, as: UTF8.self)
  }

  private mutating func readTarget() throws -> [UInt8] {
    let target = rest.prefix { 0x21...0x7e ~= $0 && $0 != UInt8(ascii: "#") }
    if target.count > 16384 { throw Refused(414) }
    guard target.count < rest.count else { throw Incomplete() }
    guard !target.isEmpty, rest[target.endIndex] == 0x20 else { throw Refused(400) }
    rest = rest[(target.endIndex + 1)...]
    return Array(target)
  }

  private func splitTarget(_ target: [UInt8], _ head: inout Head) throws {
    var path = target[...]
    if target == [UInt8(ascii: "*")], head.method == "OPTIONS" {
      head.isAsterisk = true
    } else if String(decoding: target.prefix(7), as: UTF8.self).lowercased() == "http://" {
      let authority = target.dropFirst(7).prefix {
        $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?")
      }
      guard ReferenceAuthority.isValid(Array(authority)) else { throw Refused(400) }
      head.authority = Array(authority)
      path = target[authority.endIndex...]
    } else if target.first != UInt8(ascii: "/"), head.method != "CONNECT" {
      throw Refused(400)
    }
    let mark = path.firstIndex(of: UInt8(ascii: "?")) ?? path.endIndex
    head.path = Array(path[..<mark])
    head.query = Array(path[mark...].dropFirst())
  }

  private mutating func readVersion() throws -> Int {
    let line = rest.prefix(10)
    let pattern = Array("HTTP/d.d\r\n".utf8)
    for (byte, wanted) in zip(line, pattern) {
      let isDigit = 0x30...0x39 ~= byte
      guard wanted == UInt8(ascii: "d") ? isDigit : byte == wanted else { throw Refused(400) }
    }
    guard line.count == 10 else { throw Incomplete() }
    rest = rest.dropFirst(10)
    let digits = Array(line)
    guard digits[5] == UInt8(ascii: "1") else { throw Refused(505) }
    return digits[7] == UInt8(ascii: "0") ? 0 : 1
  }

  /// One line of the head that begins `whole`, without its line end.
  private mutating func readLine(from whole: ArraySlice<UInt8>) throws -> [UInt8] {
    let longest = min(8192 + 2, 24576 - (rest.startIndex - whole.startIndex))
    guard let end = rest.firstIndex(of: 10), end - rest.startIndex < longest else {
      if rest.count >= longest { throw Refused(431) }
      throw Incomplete()
    }
    let line = Array(rest[..<end])
    guard line.last == 13 else { throw Refused(400) }
    rest = rest[(end + 1)...]
    return line.dropLast()
  }

  static func field(_ line: [UInt8]) throws -> (String, [UInt8]) {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0,
      line[..<colon].allSatisfy(isToken)
    else { throw Refused(400) }
    let value = line[(colon + 1)...]
    guard value.allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 }) else { throw Refused(400) }
    return (String(decoding: line[..<colon], as: UTF8.self).lowercased(), trimmed(value))
  }

  private func note(_ name: String, _ value: [UInt8], _ head: inout Head) throws {
    let text = String(decoding: value, as: UTF8.self)
    switch name {
    case "host":
      guard head.hosts.isEmpty, value.isEmpty || ReferenceAuthority.isValid(value) else {
        throw Refused(400)
      }
      head.hosts.append(value)
    case "content-length":
      guard head.lengths.isEmpty, !value.isEmpty, value.allSatisfy({ 0x30...0x39 ~= $0 }),
        let length = Int(text)
      else { throw Refused(400) }
      head.lengths.append(length)
    case "transfer-encoding":
      var isUnknown = false
      for member in Self.members(value) {
        guard !head.isChunked, !member.isEmpty, member.allSatisfy(Self.isToken) else {
          throw Refused(400)
        }
        if String(decoding: member, as: UTF8.self).lowercased() == "chunked" {
          head.isChunked = true
        } else {
          isUnknown = true
        }
      }
      if isUnknown { throw Refused(501) }
    case "connection":
      let members = Self.members(value).map { String(decoding: $0, as: UTF8.self).lowercased() }
      if members.contains("close") { head.closes = true }
      if members.contains("keep-alive") { head.asksKeepAlive = true }
    case "expect" where head.minor > 0:
      if text.lowercased() == "100-continue" {
        head.expectsContinue = true
      } else {
        head.expectsMore = true
      }
    default: break
    }
  }

  static func isToken(_ byte: UInt8) -> Bool {
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8
      .contains(byte)
  }

  static func members(_ value: [UInt8]) -> [[UInt8]] {
    value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map(trimmed)
  }

  static func trimmed(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
    return Array(bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }
}
