import Fuzzers
import Testing

@testable import RaftKV

/// The server against the slow reference: requests drawn at random and damaged, and requests that
/// try to hide others.
@Suite("HTTP reference")
struct HTTPReferenceTests {
  private static let corpus =
    (HTTPConnectionTests.framingFaults + HTTPConnectionTests.otherRefusals
    + HTTPConnectionTests.accepted).map { Array($0.request.utf8) }.filter { $0.count < 2000 }
    + RequestFuzzer.seeds

  @Test("the table's requests are judged alike")
  func table() throws {
    for request in Self.corpus { try RequestFuzzer.judge(request) }
  }

  @Test("damaged requests are judged alike, in one piece and in many", arguments: 1...4)
  func mutations(seed: UInt64) throws {
    var random = Random(seed: seed)
    let pieces = [
      "\r\n", "\n", "\r", " ", ":", ",", ";", "%", "+", "&", "=", "0", "1", "f", "\0", "\u{e9}",
      "Host: h\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "HTTP/1.1",
      "Connection: close\r\n", "GET ", "PUT ", "/key?key=a", "0\r\n\r\n", "\r\n\r\n",
    ].map { Array($0.utf8) }
    for _ in 0..<400 {
      var bytes = Self.corpus.randomElement(using: &random)!
      if Bool.random(using: &random) { bytes += Self.corpus.randomElement(using: &random)! }
      for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: position)
        case 2: bytes.removeLast(bytes.count - position)
        default: bytes.insert(contentsOf: pieces.randomElement(using: &random)!, at: position)
        }
      }
      do { try RequestFuzzer.judge(bytes) } catch {
        Issue.record("\(error)\nof \(String(decoding: bytes, as: UTF8.self).debugDescription)")
      }
    }
  }

  // MARK: Smuggling

  /// A body in which another request hides, and whether the framing is one that all must read
  /// alike.
  struct Payload: CustomTestStringConvertible {
    var fields: String
    var body: String
    var isFramed: Bool
    var testDescription: String { fields.debugDescription }
  }

  private static let hidden = "GET /key?key=hidden HTTP/1.1\r\nHost: h\r\n\r\n"

  static let payloads: [Payload] = [
    Payload(fields: "Content-Length: \(hidden.utf8.count)", body: hidden, isFramed: true),
    Payload(
      fields: "Transfer-Encoding: chunked",
      body: "\(String(hidden.utf8.count, radix: 16))\r\n\(hidden)\r\n0\r\n\r\n", isFramed: true),
    Payload(
      fields: "Transfer-Encoding: chunked", body: "0;\(String(repeating: "x", count: 99))\r\n\r\n",
      isFramed: true),
    Payload(
      fields: "Content-Length: 6\r\nTransfer-Encoding: chunked", body: "0\r\n\r\nX" + hidden,
      isFramed: false),
    Payload(
      fields: "Content-Length: 0\r\nContent-Length: \(hidden.utf8.count)", body: hidden,
      isFramed: false),
    Payload(
      fields: "Content-Length: \(hidden.utf8.count)\r\nContent-Length: 0", body: hidden,
      isFramed: false),
    Payload(fields: "Content-Length: +0", body: hidden, isFramed: false),
    Payload(fields: "Content-Length: 0, \(hidden.utf8.count)", body: hidden, isFramed: false),
    Payload(fields: "Content-Length : 0", body: hidden, isFramed: false),
    Payload(fields: "Transfer-Encoding : chunked", body: "0\r\n\r\n" + hidden, isFramed: false),
    Payload(fields: "Transfer-Encoding: xchunked", body: "0\r\n\r\n" + hidden, isFramed: false),
    Payload(fields: "Transfer-Encoding: chunked, x", body: "0\r\n\r\n" + hidden, isFramed: false),
    Payload(
      fields: "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", body: "0\r\n\r\n" + hidden,
      isFramed: false),
    Payload(fields: "Transfer-Encoding:\u{b}chunked", body: "0\r\n\r\n" + hidden, isFramed: false),
    Payload(fields: "A: b\r\n Content-Length: 9", body: hidden, isFramed: false),
    Payload(fields: "A: b\nContent-Length: 9", body: hidden, isFramed: false),
    Payload(fields: "A: b\rContent-Length: 9", body: hidden, isFramed: false),
    Payload(fields: "Transfer-Encoding: chunked", body: "0\n\r\n" + hidden, isFramed: false),
    Payload(fields: "Transfer-Encoding: chunked", body: "0x0\r\n\r\n" + hidden, isFramed: false),
    Payload(
      fields: "Transfer-Encoding: chunked", body: "1\r\nab\r\n0\r\n\r\n" + hidden, isFramed: false),
    Payload(
      fields: "Transfer-Encoding: chunked", body: "10000000000000000\r\n" + hidden,
      isFramed: false),
  ]

  @Test("what hides in a body, or behind a doubtful one, is never heard", arguments: payloads)
  func smuggling(_ payload: Payload) {
    for method in ["PUT", "GET", "DELETE"] {
      let handler = ScriptedHandler()
      let connection = TestConnection(handler)
      connection.receive("GET /key?key=before HTTP/1.1\r\nHost: h\r\n\r\n")
      connection.receive(
        "\(method) /key?key=outer HTTP/1.1\r\nHost: h\r\n\(payload.fields)\r\n\r\n\(payload.body)")
      connection.receive("GET /key?key=after HTTP/1.1\r\nHost: h\r\n\r\n")
      let verbs = handler.asked.map { $0.split(separator: " ")[1].prefix { $0 != "=" } }
      // The framing alone says how many requests there are, and so how many answers.
      let expected = payload.isFramed ? ["before", "outer", "after"] : ["before"]
      #expect(verbs.map(String.init) == expected)
      let statuses = connection.takeStatuses()
      #expect(statuses.count == (payload.isFramed ? 3 : 2))
      #expect(statuses.dropFirst().first.map { ($0 == 200) == payload.isFramed } == true)
      #expect((connection.closing == .no) == payload.isFramed)
    }
  }
}
