import Testing

@testable import RaftKV

@Suite("HTTPServer")
struct HTTPServerTests {
  /// Connects `count` clients one after another; `body` gets each as it comes.
  private func withServer(
    cap: Int, clients count: Int, _ body: @escaping (EventLoop, Int, Peer) -> Void
  ) throws {
    var server: HTTPServer<ScriptedHandler>?
    try withEventLoop { loop in
      let http = HTTPServer(
        loop: loop, handler: ScriptedHandler(), limits: HTTPLimits(), maximumConnections: cap,
        logger: .silent)
      server = http
      loop.endOfTurn = { http.endTurn() }
      try http.listen(atAll: [loopback])
      let port = http.boundPort
      for number in 0..<count {
        _ = Dialer.connect(loop, to: loopback(port: port)) {
          guard case .success(let stream) = $0 else {
            Issue.record("not connected")
            return
          }
          body(loop, number, Peer(stream))
        }
      }
    }
    withExtendedLifetime(server) {}
  }

  @Test("one connection too many is told so, whole, though it has sent what nobody read")
  func overCap() throws {
    var text = ""
    var isReset = false
    try withServer(cap: 1, clients: 2) { loop, number, client in
      guard number == 1 else { return }
      // More than the server will read before it answers: closing at once would reset the
      // connection.
      client.write(String(repeating: "x", count: 200_000))
      client.didEnd = { $0.stream.close() }
      client.didClose = {
        text = $0.text
        isReset = ($0.closes.last ?? nil) != nil
        loop.stop()
      }
    }
    #expect(!isReset)
    #expect(text.hasPrefix("HTTP/1.1 503 "))
    #expect(text.contains("\r\nRetry-After: 1\r\n") && text.contains("\r\nConnection: close\r\n"))
    #expect(text.contains("too_many_connections") && text.hasSuffix("}"))
  }

  @Test("whoever was turned away leaves the places of the others alone, and is let in later")
  func afterwards() throws {
    var first: Peer?
    var statuses: [Substring] = []
    try withServer(cap: 1, clients: 1) { loop, _, client in
      first = client
      let port = client.stream.remote!.port
      func ask(_ done: @escaping (Substring) -> Void) {
        _ = Dialer.connect(loop, to: loopback(port: port)) {
          guard case .success(let stream) = $0 else {
            Issue.record("not connected")
            return
          }
          let peer = Peer(stream)
          peer.write("GET /status HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
          peer.didEnd = { $0.stream.close() }
          peer.didClose = { done($0.text.dropFirst(9).prefix(3)) }
        }
      }
      func askUntilAdmitted() {
        ask {
          statuses.append($0)
          if $0 == "200" { loop.stop() } else { askUntilAdmitted() }
        }
      }
      ask {
        statuses.append($0)
        // The admitted one goes; its place is free once the server has noticed.
        first?.stream.close()
        askUntilAdmitted()
      }
    }
    #expect(statuses.first == "503" && statuses.last == "200")
  }

  @Test("over the memory for all, whoever sends more is refused; what fitted is answered")
  func memory() throws {
    var server: HTTPServer<ScriptedHandler>?
    var texts: [String: String] = [:]
    try withEventLoop { loop in
      let http = HTTPServer(
        loop: loop, handler: ScriptedHandler(), limits: HTTPLimits(), maximumConnections: 9,
        maximumBuffered: 60_000, logger: .silent)
      server = http
      try http.listen(atAll: [loopback])
      let port = http.boundPort
      func begin(_ didConnect: @escaping (Peer) -> Void) {
        _ = Dialer.connect(loop, to: loopback(port: port)) {
          guard case .success(let stream) = $0 else {
            Issue.record("not connected")
            return loop.stop()
          }
          let peer = Peer(stream)
          peer.write("PUT /key?key=a HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n")
          peer.write([UInt8](repeating: 1, count: 40_000))
          didConnect(peer)
        }
      }
      var first: Peer?
      var hasSecond = false
      loop.endOfTurn = {
        http.endTurn()
        // The first one's part is here: there is no room for as much again.
        guard http.buffered >= 40_000, !hasSecond else { return }
        hasSecond = true
        begin { second in
          second.didClose = {
            texts["second"] = $0.text
            first?.write([UInt8](repeating: 1, count: 10_000))
          }
        }
      }
      begin { peer in
        first = peer
        peer.didRead = {
          texts["first"] = $0.text
          if $0.text.hasSuffix("}") { loop.stop() }
        }
      }
    }
    #expect(texts["second"]?.hasPrefix("HTTP/1.1 503 ") == true, "\(texts)")
    #expect(texts["second"]?.contains("overloaded") == true)
    #expect(texts["second"]?.contains("\r\nConnection: close\r\n") == true)
    #expect(texts["first"]?.hasPrefix("HTTP/1.1 200 ") == true, "\(texts)")
    #expect(server?.metrics.shedRequests == 1)
    #expect(server?.buffered == 0, "what is answered or refused is held no longer")
  }
}
