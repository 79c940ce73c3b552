import RaftKV
import Testing

@Suite("Join client")
struct JoinClientTests {
  /// What a client makes of a server's answer; `answer` gets the port and the request.
  private func ask(
    _ answer: @escaping (UInt16, String) -> String
  ) throws -> Result<JoinClient.Answer, JoinClient.Failure>? {
    var result: Result<JoinClient.Answer, JoinClient.Failure>?
    var client: JoinClient?
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      let port = listener.boundPort
      listener.didAccept = {
        Peer($0).didRead = {
          guard $0.text.hasSuffix("\r\n\r\n") else { return }
          $0.write(answer(port, $0.text))
          $0.stream.shutdownWrite()
        }
      }
      client = JoinClient.join(
        loop, at: "127.0.0.1:\(port)", name: "n 1", raftAddress: "a:1", httpAddress: "b:2"
      ) {
        result = $0
        loop.stop()
      }
    }
    client?.cancel()
    return result
  }

  @Test("a redirect is followed, and the answer is told")
  func redirect() throws {
    let result = try ask { port, request in
      guard request.hasPrefix("GET /join?") else { return "HTTP/1.1 200 OK\r\n\r\nin" }
      #expect(request.hasPrefix("GET /join?id=n%201&addr=a%3A1&haddr=b%3A2 HTTP/1.1\r\n"))
      return "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:\(port)/x\r\nContent-Length: 0\r\n\r\n"
    }
    let got = try result?.get()
    #expect(got?.status == 200 && got?.body == Array("in".utf8))
  }

  @Test(
    "what goes wrong has a name",
    arguments: [
      ("SSH-2.0", JoinClient.Failure.malformedAnswer),
      ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", .hungUp),
      ("HTTP/1.1 307 T\r\nContent-Length: 0\r\n\r\n", .badRedirect),
      ("LOOP", .tooManyRedirects),
      ("HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 70_000), .tooLarge),
    ])
  func failures(_ answer: String, _ expected: JoinClient.Failure) throws {
    let result = try ask { port, _ in
      guard answer == "LOOP" else { return answer }
      return "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:\(port)/\r\nContent-Length: 0\r\n\r\n"
    }
    #expect(throws: expected) { try result?.get() }
  }
}
