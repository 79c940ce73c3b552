import Testing

@testable import RaftKV

@Suite("HTTPConnection")
struct HTTPConnectionTests {
  /// A request as sent, the status it gets, and whether the connection survives.
  struct Case: CustomTestStringConvertible {
    var request: String
    var status: Int
    var keeps: Bool
    init(_ request: String, _ status: Int, keeps: Bool) {
      self.request = request
      self.status = status
      self.keeps = keeps
    }
    var testDescription: String { "\(status): \(request.prefix(60).debugDescription)" }
  }

  static func fields(_ fields: String, body: String = "", method: String = "PUT") -> String {
    "\(method) /key?key=a HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\(body)"
  }
  static func chunked(_ body: String) -> String {
    fields("Transfer-Encoding: chunked\r\n", body: body)
  }
  static func target(_ target: String, method: String = "GET") -> String {
    "\(method) \(target) HTTP/1.1\r\nHost: h\r\n\r\n"
  }
  static func json(_ body: String) -> String {
    "POST /key HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  static let framingFaults: [Case] = [
    fields("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n"),
    fields("Transfer-Encoding: chunked, chunked\r\n"),
    fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    fields("Transfer-Encoding: chunked, gzip\r\n"), fields("Transfer-Encoding:\r\n"),
    "PUT /key?key=a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    fields("Content-Length:\r\n"), fields("Content-Length: +5\r\n"),
    fields("Content-Length: -5\r\n"), fields("Content-Length: 5 5\r\n"),
    fields("Content-Length: 0x5\r\n"), fields("Content-Length: 5,6\r\n"),
    fields("Content-Length: 5, 5\r\n"), fields("Content-Length: 9223372036854775808\r\n"),
    fields("Content-Length: 5\r\nContent-Length: 6\r\n"),
    fields("Content-Length: 5\r\nContent-Length: 5\r\n"),
    fields("Name : v\r\n"), fields("Na me: v\r\n"), fields(": v\r\n"), fields("name\r\n"),
    fields("A: b\r\n folded\r\n"), "GET /key?key=a HTTP/1.1\r\n Host: h\r\n\r\n",
    fields("A: b\rc\r\n"), fields("A: \0\r\n"), fields("A: \u{1}\r\n"), fields("A: \u{7f}\r\n"),
    "GET /key?key=a HTTP/1.1\nHost: h\n\n", fields("A: b\nC: d\r\n"),
    "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET /  HTTP/1.1\r\n\r\n",
    "GET\t/ HTTP/1.1\r\n\r\n", "GET /\tHTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1x\r\n\r\n", "GET / http/1.1\r\n\r\n", "GET / HTTP/1.10\r\n\r\n",
    "G(T / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}", "{\"a\":1}",
    "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1\r\nHost: h:x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "GET http://g/ HTTP/1.1\r\nHost: h\r\n\r\n",
    target("*"), target("h:80"), target("/key#f"), target("/k\u{e9}y"), target("https://h/"),
    target("http:///key"),
    chunked("\r\n"), chunked("0x1\r\n"), chunked("-1\r\n"), chunked("1_0\r\n"),
    chunked("00000000000000001\r\n"), chunked(" 1\r\n"), chunked("1 \r\n"), chunked("1\na"),
    chunked("1\r\nab"), chunked("1\r\na\n"), chunked("1;\(String(repeating: "e", count: 257))"),
    chunked("1\r\na\r\n\r\n"), chunked("0\r\nHost: h\r\n\r\n"),
    chunked("0\r\nContent-Length: 1\r\n\r\n"), chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    chunked("0\r\na b: c\r\n\r\n"), chunked("0\r\n\n"), chunked("1;a\u{1}\r\n"),
    chunked(String(repeating: "1\r\na\r\n", count: 5000)),
    chunked(String(repeating: "1;\(String(repeating: "e", count: 200))\r\na\r\n", count: 30)),
  ].map { Case($0, 400, keeps: false) }

  static let otherRefusals: [Case] = [
    Case(fields("Transfer-Encoding: xchunked\r\n"), 501, keeps: false),
    Case(fields("Transfer-Encoding: gzip, chunked\r\n"), 501, keeps: false),
    Case("GET / HTTP/2.0\r\n", 505, keeps: false),
    Case("\(String(repeating: "A", count: 17)) / HTTP/1.1\r\n\r\n", 501, keeps: false),
    Case(target("h:80", method: "CONNECT"), 501, keeps: false),
    Case(target("/" + String(repeating: "a", count: 16384)), 414, keeps: false),
    Case(fields("A: \(String(repeating: "a", count: 8190))\r\n"), 431, keeps: false),
    Case(
      fields(String(repeating: "A: \(String(repeating: "a", count: 8000))\r\n", count: 4)), 431,
      keeps: false),
    Case(fields(String(repeating: "A:\r\n", count: 100)), 431, keeps: false),
    Case(fields("Content-Length: 1048577\r\n"), 413, keeps: false),
    Case(chunked("100001\r\n"), 413, keeps: false),
    Case(chunked("ffffffffffffffff\r\n"), 413, keeps: false),
    Case(fields("Expect: 200-maybe\r\nContent-Length: 1\r\n", body: "a"), 417, keeps: false),
    Case(fields("Content-Length: 65537\r\n", method: "GET"), 413, keeps: false),
    Case(target("/key?key=a", method: "PATCH"), 501, keeps: true),
    Case(target("/key?key=a", method: "get"), 501, keeps: true),
    Case(target("/nothing"), 404, keeps: true), Case(target("/key%2F?key=a"), 404, keeps: true),
    Case(target("/x/../key?key=a"), 404, keeps: true), Case(target("/ke%79+"), 404, keeps: true),
    Case(target("/key?key=a", method: "PUT"), 411, keeps: true),
    Case(target("/key", method: "POST"), 411, keeps: true),
    Case(
      chunked("0\r\n" + String(repeating: "T: v\r\n", count: 101) + "\r\n"), 431, keeps: false),
    Case(
      chunked("0\r\nT: \(String(repeating: "v", count: 8190))\r\n\r\n"), 431, keeps: false),
    Case(
      json(#"{"key":"a","value":"\#(String(repeating: "v", count: (1 << 20) + 1))"}"#), 413,
      keeps: true),
    Case(target("/status", method: "PUT"), 405, keeps: true),
    Case(target("/join", method: "HEAD"), 405, keeps: true),
    Case(target("/key?key=%"), 400, keeps: true), Case(target("/key?key=%2"), 400, keeps: true),
    Case(target("/key?key=%zz"), 400, keeps: true),
    Case(target("/key?x=%z&key=a"), 400, keeps: true),
    Case(target("/key"), 400, keeps: true), Case(target("/key?key="), 400, keeps: true),
    Case(target("/key?key=a&key=a"), 400, keeps: true),
    Case(target("/key?key=a&level=maybe"), 400, keeps: true),
    Case(target("/key?key=\(String(repeating: "a", count: 4097))"), 400, keeps: true),
    Case(target("/join?id=n%20&addr=h:1"), 400, keeps: true),
    Case(target("/join?id=n&addr=h"), 400, keeps: true),
    Case(target("/join?id=n&addr=h:0"), 400, keeps: true),
    Case(target("/join?id=n&addr=h:1&haddr=%0d%0a:1"), 400, keeps: true),
    Case(target("/remove?id=n&force=1"), 400, keeps: true),
    Case(json("{}"), 400, keeps: true),
  ]

  static let accepted: [Case] = [
    Case(target("/key?key=a"), 200, keeps: true),
    Case("\r\n\r\n" + target("/key?key=a"), 200, keeps: true),
    Case(target("http://H:80/key?key=a"), 200, keeps: true),
    Case(target("/%6bey?k%65y=a"), 200, keeps: true),
    Case("GET /key?key=a HTTP/1.9\r\nHost: h\r\n\r\n", 200, keeps: true),
    Case("GET /key?key=a HTTP/1.0\r\n\r\n", 200, keeps: false),
    Case("GET /key?key=a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 200, keeps: true),
    Case(fields("Connection: x, CLOSE\r\n", method: "GET"), 200, keeps: false),
    Case(fields("Upgrade: h2c\r\n", method: "GET"), 200, keeps: true),
    Case(fields("Content-Length: 3\r\n", body: "abc", method: "GET"), 200, keeps: true),
    Case(chunked("3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n"), 200, keeps: true),
    Case(target("/key?key=\(String(repeating: "%41", count: 4096))"), 200, keeps: true),
    Case(fields(String(repeating: "A:\r\n", count: 99), method: "GET"), 200, keeps: true),
    Case(
      fields("A: \(String(repeating: "a", count: 8189))\r\n", method: "GET"), 200, keeps: true),
    Case(fields("Content-Length: 0\r\n"), 200, keeps: true),
    Case(
      "PUT /key?key=a HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\na", 200, keeps: false),
    Case(target("*", method: "OPTIONS"), 204, keeps: true),
    Case(target("/key", method: "OPTIONS"), 204, keeps: true),
    Case(target("/join?id=n&addr=h:1&haddr=%5B::1%5D:2"), 200, keeps: true),
    Case(target("/remove?id=n&force=true", method: "POST"), 200, keeps: true),
    Case(json(#"{"key":"a","value":"b"}"#), 200, keeps: true),
  ]

  @Test(
    "every odd request gets the answer of the rules",
    arguments: framingFaults + otherRefusals + accepted)
  func table(_ sample: Case) {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    connection.receive(sample.request)
    #expect(connection.takeStatuses() == [sample.status])
    #expect((connection.closing == .no) == sample.keeps)
    if sample.keeps {
      connection.receive(Self.target("/status"))
      #expect(connection.takeStatuses() == [200], "the connection goes on")
    }
  }

  @Test("where the bytes are cut makes no difference, nor does byte by byte")
  func splits() {
    for sample in Self.framingFaults + Self.otherRefusals + Self.accepted {
      let bytes = Array(sample.request.utf8)
      let whole = Self.run([bytes])
      #expect(Self.run(bytes.map { [$0] }) == whole, "byte by byte: \(sample.testDescription)")
      guard bytes.count < 300 else { continue }
      for cut in 0...bytes.count {
        let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
        #expect(Self.run(pieces) == whole, "cut at \(cut): \(sample.testDescription)")
      }
    }
  }

  /// What was asked and answered when the bytes come in these pieces.
  static func run(_ pieces: [[UInt8]]) -> [String] {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    for piece in pieces where !piece.isEmpty { connection.receive(piece) }
    return handler.asked + [connection.takeOutput(), "\(connection.closing)"]
  }

  @Test("random damage gives the same outcome in one piece and in many")
  func mutations() {
    var random = Random(seed: 7)
    let corpus = (Self.framingFaults + Self.accepted).map { Array($0.request.utf8) }
      .filter { $0.count < 300 }
    for _ in 0..<3000 {
      var bytes = corpus.randomElement(using: &random)! + corpus.randomElement(using: &random)!
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: position)
        default:
          bytes.insert(Array("\r\n :;,%0a".utf8).randomElement(using: &random)!, at: position)
        }
      }
      var pieces: [[UInt8]] = []
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + Int.random(in: 1...40, using: &random))
        pieces.append(Array(bytes[start..<end]))
        start = end
      }
      #expect(Self.run(pieces) == Self.run([bytes]))
    }
  }

  @Test("keys are decoded once, and values come as sent")
  func requests() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    connection.receive(Self.target("/key?key=a%2Fb+c%2B%2525&level=stale&x=1&x=2"))
    connection.receive(Self.target("/key/?level=consistent&key=%C3%A9"))
    connection.receive(Self.target("/key?key=%00%2e", method: "DELETE"))
    connection.receive(Self.fields("Content-Length: 4\r\n", body: "a\r\nb"))
    connection.receive(Self.chunked("2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n"))
    connection.receive(Self.json(#"{"value":"\u00e9\n","key":"k"}"#))
    connection.receive(Self.target("/join?id=n2&addr=h:1&haddr=h:2"))
    connection.receive(Self.target("/remove?id=n2", method: "POST"))
    #expect(
      handler.asked == [
        "get a/b c+%25 stale", "get é consistent", "delete \u{0}.", "put a=a\r\nb", "put a=xyz",
        "put k=é\n", "join n2 h:1 h:2", "remove n2 false",
      ])
  }

  @Test("responses keep the order of the requests, whatever the order of the replies")
  func order() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    handler.mode = .pending
    connection.receive(Self.target("/key?key=a") + Self.target("/key?key=b"))
    handler.mode = .reply
    connection.receive(Self.target("/nothing") + Self.target("/key?key=d"))
    connection.reply(.written(LogIndex(2)), to: handler.tokens[1], at: .zero)
    #expect(!connection.hasOutput)
    connection.reply(.redirect(leader: "n2", address: "h:2"), to: handler.tokens[0], at: .zero)
    let output = connection.takeOutput()
    #expect(
      output.components(after: "HTTP/1.1 ").map { $0.prefix(3) } == ["307", "200", "404", "200"])
    #expect(output.contains("Location: http://h:2/key?key=a\r\n"))
    connection.reply(.written(LogIndex(3)), to: handler.tokens[0], at: .zero)
    var stranger = handler.tokens[1]
    stranger.generation += 1
    connection.reply(.written(LogIndex(3)), to: stranger, at: .zero)
    #expect(!connection.hasOutput, "a request is answered once, and by its own token")
  }

  @Test("a full pipeline stops reading, and goes on when a reply makes room")
  func depth() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    handler.mode = .pending
    connection.receive(String(repeating: Self.target("/status"), count: 70))
    #expect(handler.asked.count == HTTPLimits.pipelineDepth)
    #expect(!connection.wantsRead)
    for position in 0..<70 {
      connection.reply(.written(LogIndex(1)), to: handler.tokens[position], at: .zero)
    }
    #expect(handler.asked.count == 70)
    #expect(connection.takeStatuses().count == 70)
    #expect(connection.wantsRead)
  }

  @Test("a slow reader stops the answers before they fill memory")
  func outputCap() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    handler.answer = .value(makeEntry("k", String(repeating: "v", count: 500_000), index: 1), nil)
    connection.receive(String(repeating: Self.target("/key?key=k"), count: 10))
    #expect(handler.asked.count == 3)
    #expect(!connection.wantsRead)
    #expect(connection.takeStatuses().count == 10)
    #expect(connection.wantsRead)
  }

  @Test("a held request is offered again as it was, and what follows it waits")
  func hold() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    handler.mode = .hold
    connection.receive(Self.fields("Content-Length: 1\r\n", body: "v") + Self.target("/status"))
    #expect(!connection.wantsRead)
    connection.receiveEnd(at: .zero)
    connection.resumeHeld(at: .zero)
    #expect(handler.asked.isEmpty)
    handler.mode = .reply
    connection.resumeHeld(at: .zero)
    #expect(handler.asked == ["put a=v", "status"])
    #expect(connection.takeStatuses() == [200, 200])
    #expect(connection.closing == .close)
  }

  @Test("a half-closed client is answered before the connection ends")
  func halfClose() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    handler.mode = .pending
    connection.receive(Self.target("/status"))
    connection.receiveEnd(at: .zero)
    #expect(connection.closing == .no)
    connection.reply(.written(LogIndex(1)), to: handler.tokens[0], at: .zero)
    #expect(connection.takeStatuses() == [200])
    #expect(connection.closing == .close)
  }

  @Test("a body is invited only when it is wanted, and in its turn")
  func expect() {
    let handler = ScriptedHandler()
    var connection = TestConnection(handler)
    let head = Self.fields("Expect: 100-continue\r\nContent-Length: 1\r\n")
    connection.receive(head)
    #expect(connection.takeOutput() == "HTTP/1.1 100 Continue\r\n\r\n")
    connection.receive("v")
    #expect(handler.asked == ["put a=v"])
    #expect(connection.takeStatuses() == [200])

    handler.mode = .pending
    connection.receive(Self.target("/status") + head)
    #expect(!connection.hasOutput)
    connection.reply(.written(LogIndex(1)), to: handler.tokens[1], at: .zero)
    #expect(connection.takeStatuses() == [200, 100])

    handler.writeRefusal = .redirect(leader: "n2", address: "h:2")
    connection = TestConnection(handler)
    connection.receive(head)
    let output = connection.takeOutput()
    #expect(output.hasPrefix("HTTP/1.1 307 "))
    #expect(output.contains("Location: http://h:2/key?key=a\r\n"))
    #expect(connection.closing == .linger)
  }

  @Test("a body that never ends is not a request, whoever hangs up")
  func endless() {
    for body in ["Content-Length: 2\r\n\r\na", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"] {
      let handler = ScriptedHandler()
      let connection = TestConnection(handler)
      connection.receive("PUT /key?key=a HTTP/1.1\r\nHost: h\r\n" + body)
      connection.receiveEnd(at: .zero)
      #expect(handler.asked.isEmpty)
      #expect(!connection.hasOutput)
      #expect(connection.closing == .close)
    }
  }

  @Test("what follows the last chunk is the next request, or ends the connection")
  func behindLastChunk() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    connection.receive(Self.chunked("1\r\na\r\n0\r\n\r\n") + "a\r\n")
    #expect(connection.takeStatuses() == [200, 400])
    #expect(connection.closing == .linger)
  }

  @Test("memory is short: what is unfinished is refused, what is idle or waits stays")
  func shedding() {
    let handler = ScriptedHandler()
    for unfinished in ["GET /", Self.fields("Content-Length: 9\r\n", body: "a")] {
      let connection = TestConnection(handler)
      connection.receive(unfinished)
      connection.shed(at: .zero)
      #expect(connection.takeStatuses() == [503])
      #expect(connection.bufferedBytes == 0)
    }
    let connection = TestConnection(handler)
    connection.shed(at: .zero)
    #expect(connection.closing == .no)
  }

  @Test("a peer that speaks our own protocol to clients' port is gone within 16 bytes")
  func peerProtocol() {
    let target = Hello.Party(name: "n2", id: NodeID(2))
    var session = PeerSession(dialling: Hello(from: .sample(1), to: target, purpose: .messages))
    let hello = Array(session.outbox.nextRun())
    let connection = TestConnection(ScriptedHandler())
    connection.receive(Array(hello.prefix(16)))
    #expect(connection.takeStatuses() == [400])
    #expect(connection.closing == .linger)
  }

  @Test("deadlines: a slow head, a slow body, a client that does not read, an idle one")
  func deadlines() {
    let handler = ScriptedHandler()
    func at(_ seconds: Int) -> Instant { .zero + .seconds(seconds) }
    var connection = TestConnection(handler)
    connection.receive("GET", at: at(1))
    connection.receive(" /", at: at(9))
    #expect(connection.deadline == at(11))
    connection.deadlinePassed(at: at(10))
    #expect(!connection.hasOutput)
    connection.deadlinePassed(at: at(11))
    #expect(connection.takeStatuses() == [408])
    #expect(connection.closing == .linger)

    connection = TestConnection(handler)
    connection.receive(Self.fields("Content-Length: 9000\r\n"), at: at(1))
    connection.receive([UInt8](repeating: 0, count: 2000), at: at(2))
    #expect(connection.deadline == at(13))
    connection.deadlinePassed(at: at(13))
    #expect(connection.takeStatuses() == [408])

    connection = TestConnection(handler)
    connection.receive(Self.target("/status"), at: at(1))
    connection.didWrite(1, at: at(5))
    #expect(connection.deadline == at(35))
    connection.deadlinePassed(at: at(35))
    #expect(connection.closing == .close)

    connection = TestConnection(handler)
    connection.receive(Self.target("/status"), at: at(1))
    _ = connection.takeOutput(at: at(2))
    #expect(connection.deadline == at(62))
    connection.deadlinePassed(at: at(62))
    #expect(connection.closing == .close)
  }

  @Test("lingering ends after 64 KiB, after a second, or with the client")
  func linger() {
    let handler = ScriptedHandler()
    for ending in 0..<3 {
      let connection = TestConnection(handler)
      connection.receive("\0")
      _ = connection.takeOutput()
      #expect(connection.closing == .linger)
      #expect(connection.wantsRead)
      switch ending {
      case 0: connection.receive([UInt8](repeating: 0, count: 65536))
      case 1: connection.deadlinePassed(at: .zero + .seconds(1))
      default: connection.receiveEnd(at: .zero)
      }
      #expect(connection.closing == .close)
    }
  }
}
