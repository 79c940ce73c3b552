import RaftKV
import Testing

@Suite("Listener")
struct ListenerTests {
  @Test("an address in use is an error at once")
  func addressInUse() throws {
    let loop = try EventLoop()
    let first = try Listener(loop, at: loopback)
    #expect(first.boundPort != 0)
    #expect(throws: LoopError.addressInUse) {
      try Listener(loop, at: loopback(port: first.boundPort))
    }
    loop.close()
  }

  @Test("an address of another host is an error")
  func foreignAddress() throws {
    let loop = try EventLoop()
    let address = try #require(SocketAddress(numeric: "192.0.2.1", port: 0))
    let error = #expect(throws: LoopError.self) { try Listener(loop, at: address) }
    #expect(error?.name == "EADDRNOTAVAIL")
    loop.close()
  }

  @Test("the IPv6 wildcard, where there is IPv6, accepts IPv4 too")
  func dualStack() throws {
    try withEventLoop { loop in
      let listeners = SocketAddress.wildcards(port: 0).compactMap { try? Listener(loop, at: $0) }
      let listener = try #require(listeners.first)
      listener.didAccept = {
        $0.close()
        loop.stop()
      }
      _ = Dialer.connect(loop, to: loopback(port: listener.boundPort)) { result in
        guard case .success(let stream) = result else {
          Issue.record("could not connect: \(result)")
          return loop.stop()
        }
        _ = Peer(stream)
      }
    }
  }

  @Test("a thousand connections open at once, then closed")
  func thousand() throws {
    ProcessLimits.raiseOpenFiles()
    let count = 1000
    var accepted = 0
    var connected = 0
    var closed = 0
    var mostPerTurn = 0
    var acceptedThisTurn = 0
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      let didClose: (Peer) -> Void = { _ in
        closed += 1
        if closed == 2 * count { loop.stop() }
      }
      var clients: [Peer] = []
      let closeAll = {
        guard accepted == count, connected == count else { return }
        for client in clients { client.stream.close() }
      }
      listener.didAccept = {
        Peer($0).didClose = didClose
        accepted += 1
        acceptedThisTurn += 1
        closeAll()
      }
      loop.endOfTurn = {
        mostPerTurn = max(mostPerTurn, acceptedThisTurn)
        acceptedThisTurn = 0
      }
      for _ in 0..<count {
        _ = Dialer.connect(loop, to: loopback(port: listener.boundPort)) { result in
          guard case .success(let stream) = result else {
            Issue.record("could not connect: \(result)")
            return loop.stop()
          }
          let client = Peer(stream)
          client.didClose = didClose
          clients.append(client)
          connected += 1
          closeAll()
        }
      }
    }
    #expect(accepted == count)
    #expect(closed == 2 * count)
    // The share of a turn, and the one that was held back in the turn before.
    #expect(mostPerTurn <= 65)
  }

  @Test("a closed listener accepts no more")
  func closed() throws {
    try withEventLoop { loop in
      let listener = try Listener(loop, at: loopback)
      listener.close()
      listener.close()
      _ = Dialer.connect(loop, to: loopback(port: listener.boundPort)) { result in
        // The port may be somebody else's by now; that it is not ours is what the listener asserts.
        if case .success(let stream) = result { stream.close() }
        loop.stop()
      }
      listener.didAccept = { _ in Issue.record("accepted after close") }
    }
  }
}
