import Simulation
import Testing

/// The simulator's clients read responses by themselves, so their reader must be right on its own.
@Suite("ResponseParser")
struct ResponseParserTests {
  private func parse(
    _ text: String, isHead: Bool = false
  ) throws(ResponseParser.Malformed) -> ResponseParser.Result {
    var parser = ResponseParser()
    parser.append(text.utf8)
    return try parser.next(isHead: isHead)
  }

  private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-RaftKV-Index: 7\r\n\r\nhello"

  @Test("a response is read, whatever the cuts between its bytes")
  func cuts() throws {
    let bytes = Array((ok + ok).utf8)
    for first in 0...bytes.count {
      for second in stride(from: first, through: bytes.count, by: 7) {
        var parser = ResponseParser()
        var responses: [Response] = []
        for piece in [bytes[..<first], bytes[first..<second], bytes[second...]] {
          parser.append(piece)
          while case .response(let response) = try parser.next(isHead: false) {
            responses.append(response)
          }
        }
        #expect(responses.count == 2)
        #expect(responses.allSatisfy { $0.status == 200 && $0.text == "hello" })
        #expect(responses.allSatisfy { $0.field("x-raftkv-index") == "7" && !$0.closes })
        #expect(parser.isEmpty)
      }
    }
  }

  @Test("HEAD's response has a length and no body, and an interim response neither")
  func bodiless() throws {
    var parser = ResponseParser()
    parser.append("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n".utf8)
    guard case .response(let head) = try parser.next(isHead: true) else {
      Issue.record("no response")
      return
    }
    #expect(head.body.isEmpty && head.field("content-length") == "5")
    #expect(try parser.next(isHead: false) == .interim(100))
    #expect(try parser.next(isHead: false) == .needMore)
    parser.append("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".utf8)
    guard case .response(let empty) = try parser.next(isHead: false) else {
      Issue.record("no response")
      return
    }
    #expect(empty.status == 204 && empty.body.isEmpty && empty.closes)
  }

  @Test(
    "what is no response is refused",
    arguments: [
      "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 99 Low\r\n\r\n",
      "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\nC: d\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\rC\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
      "{\"index\":7}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ])
  func malformed(_ text: String) {
    #expect(throws: ResponseParser.Malformed.self) { try parse(text) }
  }

  @Test("a head that never ends is not waited for without end")
  func endless() {
    #expect(throws: ResponseParser.Malformed.self) {
      try parse("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 40 << 10))
    }
  }
}
