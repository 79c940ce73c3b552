import Testing

@testable import RaftKV

/// More than one connection between two nodes, and nodes that fall silent.
@Suite("Peer connections", .serialized)
struct PeerConnectionTests {
  /// Asks every 10 ms, until it is so; the loop's own guardian ends what never is.
  private func whenever(
    _ loop: EventLoop, _ condition: @escaping () -> Bool, _ body: @escaping () -> Void
  ) {
    let timer = Timer(loop)
    timer.didFire = {
      if condition() {
        timer.close()
        body()
      } else {
        timer.arm(at: loop.now + .milliseconds(10))
      }
    }
    timer.arm(at: loop.now)
  }

  private func established(_ node: TestNode) -> [PeerConnection] {
    node.transport.connections.filter { $0.isEstablished && $0.purpose == .messages }
  }

  @Test("both dial at once: one connection stays, the one that the smaller id dialled")
  func bothDial() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      introduce(first, second)
      // The first dials by itself; the second would wait for it.
      second.transport.dialMessages(second.transport.link(to: NodeID(1))!, at: loop.now)
      #expect(second.transport.link(to: NodeID(1))?.messagesAttempt != nil)
      let isSettled = { [self] in
        first.transport.connections.count == 1 && second.transport.connections.count == 1
          && established(first).count == 1 && established(second).count == 1
      }
      whenever(loop, isSettled) { [self] in
        #expect(established(first)[0].isDialled && !established(second)[0].isDialled)
        for node in nodes {
          #expect(node.connects - node.disconnects == 1)
          node.transport.close()
        }
        loop.stop()
      }
      nodes = [first, second]
    }
  }

  @Test("the larger id came first: the smaller one's connection takes its place")
  func largerFirst() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      second.introduce(first)
      whenever(loop, { [self] in established(first).count == 1 && established(second).count == 1 })
      {
        [self] in
        #expect(established(second)[0].isDialled)
        first.introduce(second)
        first.transport.dialMessages(first.transport.link(to: NodeID(2))!, at: loop.now)
        let isSettled = { [self] in
          first.transport.connections.count == 1 && second.transport.connections.count == 1
            && established(first).first?.isDialled == true && established(second).count == 1
        }
        whenever(loop, isSettled) {
          for node in nodes {
            #expect(node.connects == 2 && node.disconnects == 1)
            node.transport.close()
          }
          loop.stop()
        }
      }
      nodes = [first, second]
    }
  }

  /// A wire of node 1 to a transport, whose words are the test's own.
  private func connect(
    _ loop: EventLoop, to node: TestNode, _ body: @escaping (Peer) -> Void
  ) {
    _ = Dialer.connect(loop, to: loopback(port: node.transport.boundPort)) {
      guard case .success(let stream) = $0 else {
        Issue.record("not connected")
        return
      }
      body(Peer(stream))
    }
  }

  private var hello: [UInt8] {
    let target = Hello.Party(name: "n2", id: NodeID(2), memberSince: LogIndex(2))
    var session = PeerSession(dialling: Hello(from: .sample(1), to: target, purpose: .messages))
    return Array(session.outbox.nextRun())
  }

  private func heartbeat(round: UInt64) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.appendFrame(
      Envelope(
        from: NodeID(1), to: NodeID(2), term: Term(1),
        message: .heartbeat(Heartbeat(commit: .zero, round: round))))
    return Array(buffer.readable)
  }

  @Test("what a replaced connection still brings is not heard (J3)")
  func lateFrames() throws {
    var node: TestNode?
    var heard: [UInt64] = []
    try withEventLoop { loop in
      let second = try TestNode(2, loop)
      node = second
      second.onEnvelope = {
        if case .heartbeat(let heartbeat) = $0.message { heard.append(heartbeat.round) }
      }
      connect(loop, to: second) { [self] old in
        old.didEnd = { _ in }
        old.write(hello)
        whenever(loop, { second.connects == 1 }) { [self] in
          old.write(heartbeat(round: 1))
          whenever(loop, { heard == [1] }) { [self] in
            connect(loop, to: second) { [self] new in
              new.write(hello)
              whenever(loop, { second.connects == 2 }) { [self] in
                old.write(heartbeat(round: 2))
                new.write(heartbeat(round: 3))
                whenever(loop, { heard.last == 3 && !old.closes.isEmpty || old.ends > 0 }) {
                  whenever(loop, { heard.last == 3 }) {
                    second.transport.close()
                    loop.stop()
                  }
                }
              }
            }
          }
        }
      }
    }
    withExtendedLifetime(node) {}
    #expect(heard == [1, 3])
  }

  @Test("who says no hello, or falls silent after it, is dropped; who says anything is not")
  func silence() throws {
    var node: TestNode?
    var dropped: [String] = []
    try withEventLoop { loop in
      let second = try TestNode(2, loop)
      node = second
      for name in ["mute", "silent", "talker"] {
        connect(loop, to: second) { [self] peer in
          peer.didClose = { _ in
            dropped.append(name)
            guard dropped.count == 2 else { return }
            second.transport.close()
            loop.stop()
          }
          guard name != "mute" else { return }
          var identity = LocalIdentity.sample(name == "silent" ? 1 : 3)
          identity.nonce += 500
          let target = Hello.Party(name: "n2", id: NodeID(2), memberSince: LogIndex(2))
          var session = PeerSession(
            dialling: Hello(from: identity, to: target, purpose: .messages))
          peer.write(Array(session.outbox.nextRun()))
          guard name == "talker" else { return }
          let timer = Timer(loop)
          timer.didFire = {
            guard peer.stream.isOpen else { return }
            var buffer = ByteBuffer()
            buffer.appendKeepAlive()
            peer.write(Array(buffer.readable))
            timer.arm(at: loop.now + .milliseconds(200))
          }
          timer.arm(at: loop.now)
        }
      }
    }
    withExtendedLifetime(node) {}
    #expect(dropped.prefix(2) == ["mute", "silent"])
  }

  @Test("a member that is not there yet is dialled again until it is")
  func redial() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let absent = try TestNode(2, loop)
      let address = loopback(port: absent.transport.boundPort)
      first.introduce(absent)
      absent.transport.close()
      let link = first.transport.link(to: NodeID(2))!
      // It has failed a few times when somebody comes to be there.
      whenever(loop, { link.backoff > .milliseconds(300) }) {
        guard let late = try? TestNode(2, loop, nonce: 77, at: address) else {
          Issue.record("the port is taken")
          return loop.stop()
        }
        nodes.append(late)
        late.introduce(first)
        first.onConnect = {
          #expect(link.backoff == PeerLink.firstBackoff)
          for node in nodes { node.transport.close() }
          loop.stop()
        }
      }
      nodes = [first, absent]
    }
  }

  @Test("who is hung up on is dialled again after the longest wait")
  func hangUp() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      introduce(first, second)
      first.onConnect = {
        first.onConnect = {}
        first.transport.hangUp(on: NodeID(2))
        #expect(!first.transport.isConnected(NodeID(2)))
        first.onDisconnect = {
          let link = first.transport.link(to: NodeID(2))
          #expect(link.map { $0.nextDial > loop.now + .milliseconds(300) } == true)
          first.onConnect = {
            for node in nodes { node.transport.close() }
            loop.stop()
          }
        }
      }
      nodes = [first, second]
    }
  }

  @Test("a member no more is hung up on when its time is over, and forgotten; one again is kept")
  func expiry() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      introduce(first, second)
      let isConnected = { first.connects == 1 && second.connects == 1 }
      whenever(loop, isConnected) {
        // So that it does not dial again.
        second.transport.setPeers([])
        guard let link = first.transport.link(to: NodeID(2)) else { return loop.stop() }
        let before = loop.now
        first.transport.setPeers([])
        #expect(link.expiry >= before + PeerTransport.guestTime, "time to be told of it")
        #expect(link.expiry <= loop.now + PeerTransport.guestTime)
        #expect(link.nextDeadline == link.expiry)
        first.introduce(second)
        #expect(link.nextDeadline == .distantFuture)
        first.transport.setPeers([])
        #expect(first.transport.isConnected(NodeID(2)) && first.disconnects == 0)
        link.expiry = loop.now
        first.transport.rearm()
        let isOver = {
          first.disconnects == 1 && second.disconnects == 1 && first.transport.links.isEmpty
        }
        whenever(loop, isOver) {
          #expect(first.transport.connections.isEmpty)
          for node in nodes { node.transport.close() }
          loop.stop()
        }
      }
      nodes = [first, second]
    }
    #expect(nodes.allSatisfy { $0.connects == 1 })
  }
}
