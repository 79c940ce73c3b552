import RaftKV
import Testing

@Suite("Dialer")
struct DialerTests {
  @Test("where nobody listens, the connection is refused, later than the call")
  func refused() throws {
    var error: LoopError?
    try withEventLoop { loop in
      var hasReturned = false
      // tcpmux, a privileged port that nothing on a test machine serves.
      _ = Dialer.connect(loop, to: loopback(port: 1)) {
        #expect(hasReturned)
        if case .failure(let reason) = $0 { error = reason }
        loop.stop()
      }
      hasReturned = true
    }
    #expect(error == .connectionRefused)
  }

  @Test("what connect(2) refuses at once is told later all the same")
  func refusedAtOnce() throws {
    var failed = false
    try withEventLoop { loop in
      var hasReturned = false
      let broadcast = try #require(SocketAddress(numeric: "255.255.255.255", port: 9))
      _ = Dialer.connect(loop, to: broadcast) {
        #expect(hasReturned)
        if case .failure = $0 { failed = true }
        loop.stop()
      }
      hasReturned = true
    }
    #expect(failed)
  }

  @Test("a cancelled attempt says nothing, whenever it is cancelled")
  func cancel() throws {
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      listener.didAccept = { _ = Peer($0) }
      for address in [loopback(port: listener.boundPort), loopback(port: 1)] {
        let dialer = Dialer.connect(loop, to: address) { _ in Issue.record("completed") }
        dialer.cancel()
        dialer.cancel()
      }
      let timer = Timer(loop)
      timer.didFire = { loop.stop() }
      timer.arm(at: loop.now + .milliseconds(20))
    }
  }

  @Test("cancelling after the end does nothing to the stream")
  func cancelLate() throws {
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      listener.didAccept = {
        let peer = Peer($0)
        peer.didEnd = { $0.stream.close() }
        peer.didClose = { _ in
          #expect(peer.text == "alive")
          loop.stop()
        }
      }
      var dialer: Dialer?
      dialer = Dialer.connect(loop, to: loopback(port: listener.boundPort)) { result in
        guard case .success(let stream) = result else { return loop.stop() }
        let peer = Peer(stream)
        dialer?.cancel()
        #expect(stream.isOpen)
        peer.write("alive")
        stream.shutdownWrite()
      }
    }
  }

  @Test("a stream may be closed inside the completion, before anything is wired")
  func closeInCompletion() throws {
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      listener.didAccept = {
        Peer($0).didClose = { _ in loop.stop() }
      }
      _ = Dialer.connect(loop, to: loopback(port: listener.boundPort)) { result in
        if case .success(let stream) = result { stream.close() }
      }
    }
  }
}
