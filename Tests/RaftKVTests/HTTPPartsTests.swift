import Testing

@testable import RaftKV

private func withBytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result
{
  Array(text.utf8).withUnsafeBytes(body)
}

@Suite("Authority")
struct AuthorityTests {
  @Test("hosts, with or without a port")
  func valid() {
    for text in [
      "h", "a.b-c_d~e", "127.0.0.1:80", "[::1]", "[::ffff:1.2.3.4]:8080", "h:", "h:00080", "%41",
    ] {
      #expect(withBytes(text, Authority.isValid), "\(text)")
    }
    for text in [
      "", ":80", "h:8o", "h:123456", "u@h", "h/", "h h", "[::1", "::1", "[]", "[:]x", "[g::]", "%4",
      "é", "h:1:2",
    ] {
      #expect(!withBytes(text, Authority.isValid), "\(text)")
    }
  }

  @Test("an address to dial has a port that can be dialled")
  func addresses() {
    for text in ["h:1", "[::1]:65535"] { #expect(withBytes(text, Authority.isAddress), "\(text)") }
    for text in ["h", "h:", "h:0", "h:65536", String(repeating: "h", count: 299) + ":1"] {
      #expect(!withBytes(text, Authority.isAddress), "\(text)")
    }
  }

  @Test("equal whatever the case, port 80 being none")
  func equality() {
    func areEqual(_ left: String, _ right: String) -> Bool {
      withBytes(left) { left in withBytes(right) { Authority.areEqual(left, $0) } }
    }
    #expect(areEqual("Host", "hOST:80") && areEqual("h:", "h") && areEqual("[::A]", "[::a]:80"))
    #expect(!areEqual("h", "h:81") && !areEqual("h", "g") && !areEqual("", "h"))
  }
}

@Suite("ByteBuffer text")
struct ByteBufferTextTests {
  private func text(_ body: (inout ByteBuffer) -> Void) -> String {
    var buffer = ByteBuffer()
    body(&buffer)
    return String(decoding: buffer.readable, as: UTF8.self)
  }

  @Test("decimals and hexadecimals of every length")
  func numbers() {
    var value: UInt64 = 1
    for _ in 0..<20 {
      for number in [value - 1, value, value &+ 1] {
        #expect(text { $0.append(decimal: number) } == "\(number)")
        let digits = String(number, radix: 16)
        let zeros = String(repeating: "0", count: 16 - digits.count)
        #expect(text { $0.append(hexadecimal: number) } == zeros + digits)
      }
      value = value &* 10
    }
    #expect(text { $0.append(decimal: UInt64.max) } == "18446744073709551615")
  }

  @Test("scalars as Unicode's own encoder writes them")
  func scalars() {
    for value: UInt32 in [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff] {
      #expect(text { $0.append(utf8: value) } == String(Unicode.Scalar(value)!))
    }
  }

  @Test("JSON strings escape what must be, URIs what may not stand")
  func escapes() {
    #expect(text { $0.append(json: "a\"\\\n\u{1f}é") } == #""a\"\\\u000A\u001Fé""#)
    let uri = text { buffer in withBytes("/k?a=[b]%20 \r\n\"é#") { buffer.append(uri: $0) } }
    #expect(uri == "/k?a=[b]%20%20%0D%0A%22%C3%A9%23")
  }
}

@Suite("ByteClass")
struct ByteClassTests {
  private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

  @Test("the classes are those of the RFCs, for every byte")
  func classes() {
    for byte in UInt8.min...UInt8.max {
      #expect(byte.isToken == (Self.letters + "!#$%&'*+-.^_`|~").utf8.contains(byte), "\(byte)")
      #expect(byte.isHostName == (Self.letters + "-._~%!$&'()*+,;=").utf8.contains(byte), "\(byte)")
      #expect(byte.isTarget == ((0x21...0x7e).contains(byte) && byte != 0x23), "\(byte)")
      #expect(byte.isFieldValue == (byte == 9 || byte >= 32 && byte != 127), "\(byte)")
      let digit = "0123456789abcdefABCDEF".utf8.contains(byte)
      #expect((byte.hexadecimalValue != nil) == digit, "\(byte)")
    }
  }

  @Test("eight bytes at once answer as one by one do")
  func words() {
    var random = Random(seed: 5)
    let tempting: [UInt8] = [
      0, 1, 0x1f, 0x20, 0x21, 0x23, 0x24, 0x25, 0x7e, 0x7f, 0x80, 0xa3, 0xff,
    ]
    for _ in 0..<20_000 {
      let bytes = (0..<8).map { _ in tempting.randomElement(using: &random)! }
      let word = bytes.withUnsafeBytes { $0.word(at: 0) }
      #expect(word.isASCII == bytes.allSatisfy { $0 < 0x80 })
      for byte: UInt8 in [0x23, 0x25, 0x7f, 0] {
        #expect(word.has(byte) == bytes.contains(byte))
        #expect(word.firstIndex(of: byte) == bytes.firstIndex(of: byte))
      }
      for limit: UInt8 in [0x20, 0x21, 0x80] {
        #expect(word.hasByte(below: limit) == bytes.contains { $0 < limit })
      }
    }
  }
}

@Suite("FieldLine")
struct FieldLineTests {
  private func parse(_ line: String) -> (String, String, FieldLine.Known)? {
    withBytes(line) { bytes in
      guard let field = try? FieldLine(bytes) else { return nil }
      return (
        String(decoding: field.name, as: UTF8.self), String(decoding: field.value, as: UTF8.self),
        field.known
      )
    }
  }

  @Test("name and value, the space around it gone")
  func lines() throws {
    let field = try #require(parse("Content-LENGTH: \t 5 6\t "))
    #expect(field == ("Content-LENGTH", "5 6", .contentLength))
    #expect(try #require(parse("a:")) == ("a", "", .other))
    #expect(try #require(parse("a: b:c")) == ("a", "b:c", .other))
    let known = ["host", "EXPECT", "Connection", "transfer-encoding", "hosts"].map {
      parse("\($0): x")?.2
    }
    #expect(known == [.host, .expect, .connection, .transferEncoding, .other])
    for line in ["", ":", "a", " a: b", "a : b", "a b: c", "a: \0", "a: \r", "a: \u{7f}", "é: b"] {
      #expect(parse(line) == nil, "\(line.debugDescription)")
    }
  }

  @Test("every member of a list, empty ones too")
  func members() throws {
    var members: [String] = []
    try Array(" a ,,\tb c,".utf8).withUnsafeBytes { bytes in
      try FieldLine.forEachMember(of: bytes) { member throws(Failure) in
        members.append(String(decoding: member, as: UTF8.self))
      }
    }
    #expect(members == ["a", "", "b c", ""])
  }
}

@Suite("Method")
struct MethodTests {
  @Test("names are exact, and sets list them in one order")
  func names() {
    let expected: [(String, Method)] = [
      ("GET", .get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("DELETE", .delete),
      ("OPTIONS", .options), ("CONNECT", .connect), ("get", .unknown), ("GETS", .unknown),
      ("PATCH", .unknown), ("TRACE", .unknown), ("", .unknown),
    ]
    for (name, method) in expected { #expect(withBytes(name, Method.init) == method, "\(name)") }
    var buffer = ByteBuffer()
    buffer.append([.options, .delete, .get] as MethodSet)
    #expect(String(decoding: buffer.readable, as: UTF8.self) == "GET, DELETE, OPTIONS")
  }
}

@Suite("PercentCoding")
struct PercentCodingTests {
  @Test("an escape is two digits, in either case")
  func validity() {
    for text in ["", "abc", "%00", "%aF%Fa", "%25"] {
      #expect(withBytes(text, PercentCoding.isValid), "\(text)")
    }
    for text in ["%", "%2", "a%2", "%zz", "%2z", "%%20", "12345678%", "1234567%a"] {
      #expect(!withBytes(text, PercentCoding.isValid), "\(text)")
    }
  }

  @Test("decoded once; a plus is a space in a query alone; an escaped slash separates nothing")
  func meaning() {
    var buffer = ByteBuffer()
    withBytes("a%2525+%2B%00%ff") { PercentCoding.decode(query: $0, into: &buffer) }
    #expect(Array(buffer.readable) == Array("a%25 +\0".utf8) + [0xff])
    #expect(withBytes("k%65y") { PercentCoding.equals(query: $0, "key") })
    #expect(withBytes("a+b") { PercentCoding.equals(query: $0, "a b") })
    #expect(withBytes("a+b") { PercentCoding.equals(path: $0, "a+b") })
    #expect(withBytes("/%6bey") { PercentCoding.equals(path: $0, "/key") })
    for other in ["%2fkey", "/key%2F", "/ke", "/keys"] {
      #expect(!withBytes(other) { PercentCoding.equals(path: $0, "/key") }, "\(other)")
    }
  }
}

@Suite("ChunkedDecoder")
struct ChunkedDecoderTests {
  /// What comes out, and how it ended, when the bytes come in pieces of `size`.
  private func decode(
    _ text: String, limit: Int = 100, by size: Int, discards: Bool = false
  ) -> (body: String, rest: String, result: ChunkedDecoder.Result) {
    var decoder = ChunkedDecoder(limit: limit, discards: discards)
    var body = ByteBuffer()
    var rest = Array(text.utf8)[...]
    var waiting: [UInt8] = []
    var result = ChunkedDecoder.Result.needMore
    while !rest.isEmpty, result == .needMore {
      waiting += rest.prefix(size)
      rest = rest.dropFirst(size)
      var consumed = 0
      (consumed, result) = waiting.withUnsafeBytes { decoder.decode($0, into: &body) }
      waiting.removeFirst(consumed)
    }
    return (
      String(decoding: body.readable, as: UTF8.self),
      String(decoding: waiting + rest, as: UTF8.self), result
    )
  }

  @Test("chunks, extensions and trailers, in pieces of any size; what follows is left alone")
  func good() {
    let text = "3\r\nabc\r\n0a;x=\"y\"\r\n0123456789\r\n0\r\nT: v\r\n\r\nGET"
    for size in 1...text.utf8.count {
      let (body, rest, result) = decode(text, by: size)
      #expect(result == .done && body == "abc0123456789" && rest == "GET", "\(size)")
      #expect(decode(text, by: size, discards: true).body.isEmpty)
    }
  }

  @Test("the limit counts data, to the byte")
  func limits() {
    #expect(decode("3\r\nabc\r\n0\r\n\r\n", limit: 3, by: 99).result == .done)
    #expect(decode("3\r\nabc\r\n1\r\n", limit: 3, by: 1).result == .malformed(.bodyTooLarge))
    #expect(decode("ffffffffffffffff\r\n", by: 1).result == .malformed(.bodyTooLarge))
  }

  @Test("framing may cost a fixed sum and a byte for each byte of data")
  func overhead() {
    let chunk = "1;\(String(repeating: "e", count: 150))\r\na\r\n"
    let text = String(repeating: chunk, count: 27)  // 4 kB of extensions
    #expect(decode(text, by: 999).result == .needMore)
    #expect(decode(text + chunk, by: 999).result == .malformed(.badChunk))
    let tiny = String(repeating: "1\r\na\r\n", count: 4096)
    #expect(decode(tiny, limit: 1 << 20, by: 999).result == .needMore)
    #expect(decode(tiny + tiny, limit: 1 << 20, by: 999).result == .malformed(.badChunk))
  }
}

@Suite("RequestParser")
struct RequestParserTests {
  @Test("a head is ready at its last byte, wherever the bytes were cut, and not before")
  func splits() {
    let text = "\r\nPUT http://h/key?a=%41 HTTP/1.0\r\nHost: H:80\r\nContent-Length: 7\r\n\r\n"
    let bytes = Array(text.utf8)
    for cut in 0...bytes.count {
      var parser = RequestParser()
      let first = bytes[..<cut].withUnsafeBytes { parser.parse($0) }
      guard cut < bytes.count else {
        guard case .head(let head) = first else {
          Issue.record("no head")
          return
        }
        #expect(head.length == bytes.count && head.framing == .length(7) && head.minorVersion == 0)
        #expect(!head.keepsAlive && head.statesLength && head.isEncoded)
        #expect(String(decoding: bytes[head.path], as: UTF8.self) == "/key")
        #expect(String(decoding: bytes[head.query], as: UTF8.self) == "a=%41")
        return
      }
      #expect(first == .needMore)
      let whole = bytes.withUnsafeBytes { parser.parse($0) }
      if case .head = whole { continue }
      Issue.record("cut at \(cut): \(whole)")
    }
  }
}

@Suite("Router")
struct RouterTests {
  /// What a target asks for, in words, or the status and code of its refusal.
  private func route(_ method: String, _ target: String) -> String {
    let bytes = Array(
      "\(method) \(target) HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n".utf8)
    return bytes.withUnsafeBytes { bytes in
      var parser = RequestParser()
      var decoded = ByteBuffer()
      guard case .head(let head) = parser.parse(bytes) else { return "no head" }
      switch Router.route(head, bytes, decoded: &decoded) {
      case .failure(let failure): return "\(failure.status) \(failure.code)"
      case .post: return "post"
      case .put(let key): return "put \(String(decoding: key, as: UTF8.self))"
      case .request(.get(let key, let level)):
        return "get \(String(decoding: key, as: UTF8.self)) \(level)"
      case .request(.put): return "a put without its body"
      case .request(.delete(let key)): return "delete \(String(decoding: key, as: UTF8.self))"
      case .request(.join(let name, let raft, let http)):
        return "join \(name) \(raft) \(http ?? "-")"
      case .request(.remove(let name, let force)): return "remove \(name) \(force)"
      case .request(.status): return "status"
      case .request(.live): return "live"
      case .request(.metrics): return "metrics"
      case .request(.ready(let level)): return "ready \(level)"
      }
    }
  }

  @Test("targets and what they ask for")
  func routes() {
    let expected: [(String, String, String)] = [
      ("GET", "/key?key=a", "get a leaseBound"), ("HEAD", "/key/?level=stale&key=a", "get a stale"),
      ("GET", "/key?key=a%26b&&x", "get a&b leaseBound"), ("PUT", "/key?key=a=b", "put a=b"),
      ("POST", "/key?key=%20", "post"), ("DELETE", "/key/?key=a+b", "delete a b"),
      ("POST", "/join?id=n&addr=h:1", "join n h:1 -"), ("GET", "/remove?id=n", "remove n false"),
      ("GET", "/remove?id=n&force=true", "remove n true"), ("HEAD", "/status", "status"),
      ("GET", "/livez", "live"), ("HEAD", "/metrics", "metrics"),
      ("GET", "/readyz?level=stale", "ready stale"),
      ("GET", "/readyz?level=x", "400 bad_level"), ("POST", "/livez", "405 method_not_allowed"),
      ("OPTIONS", "*", "204 "), ("OPTIONS", "/status", "204 "),
      ("GET", "/KEY?key=a", "404 not_found"),
      ("GET", "/key?Key=a", "400 bad_key"), ("GET", "/key?key=a&%6bey=b", "400 repeated_parameter"),
      ("PUT", "/key?key=a&level=x", "400 bad_level"),
      ("DELETE", "/status", "405 method_not_allowed"),
      ("TRACE", "/status", "501 method_not_implemented"), ("GET", "/join?id=n", "400 bad_address"),
      ("GET", "/join?addr=h:1", "400 bad_id"), ("GET", "/remove?id=n&force=", "400 bad_force"),
    ]
    for (method, target, outcome) in expected {
      #expect(route(method, target) == outcome, "\(method) \(target)")
    }
  }
}
