import Testing

@testable import RaftKV

@Suite("Dial")
struct DialTests {
  /// What becomes of it, in words.
  private func dial(_ address: String) throws -> String {
    var said = ""
    var dial: Dial?
    try withEventLoop { loop in
      dial = Dial(loop)
      dial?.start(address) {
        switch $0 {
        case .success(let stream):
          stream.close()
          said += "connected"
        case .failure(.connectionRefused): said += "refused"
        case .failure(.unreachable): said += "unreachable"
        case .failure(.unresolvable): said += "unresolvable"
        }
        loop.stop()
      }
      #expect(said.isEmpty, "never before start has returned")
    }
    withExtendedLifetime(dial) {}
    return said
  }

  @Test("a refusal, which proves a process gone, is nothing else's name")
  func failures() throws {
    // tcpmux, a privileged port that nothing on a test machine serves.
    #expect(try dial("127.0.0.1:1") == "refused")
    // connect(2) does not let a stream go there, and sends nothing.
    #expect(try dial("255.255.255.255:9") == "unreachable")
  }

  @Test("the addresses of a host are tried in turn until somebody answers")
  func inTurn() throws {
    var dial: Dial?
    var isConnected = false
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      listener.didAccept = { _ = Peer($0) }
      dial = Dial(loop)
      // No host is every interface: `::` first, where nobody listens, then 0.0.0.0.
      dial?.start(":\(listener.boundPort)") {
        if case .success(let stream) = $0 {
          isConnected = true
          stream.close()
        }
        loop.stop()
      }
    }
    withExtendedLifetime(dial) {}
    #expect(isConnected)
  }

  @Test("what is no address fails before start has returned")
  func noAddress() throws {
    let loop = try EventLoop()
    var reason = ""
    Dial(loop).start("nowhere") {
      if case .failure(let failure) = $0 { reason = failure.description }
    }
    #expect(reason == "'nowhere' is not host:port")
    loop.close()
  }

  @Test("one that is cancelled says nothing, by name and by number, and leaves nothing open")
  func cancel() throws {
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      listener.didAccept = { _ = Peer($0) }
      for host in ["127.0.0.1", "localhost"] {
        let dial = Dial(loop)
        dial.start("\(host):\(listener.boundPort)") { _ in Issue.record("completed") }
        dial.cancel()
        dial.cancel()
      }
      let timer = Timer(loop)
      timer.didFire = { loop.stop() }
      timer.arm(at: loop.now + .milliseconds(20))
    }
  }
}
