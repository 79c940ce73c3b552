import RaftKV
import Testing

@Suite("Peer transport", .serialized)
struct PeerTransportTests {
  @Test("two members connect once, exchange messages, and connect again after a restart")
  func exchange() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      introduce(first, second)
      first.onConnect = { first.ping(2) }
      second.onMessage = { second.ping(1) }
      first.onMessage = {
        #expect(first.connects == 1 && second.connects == 1)
        first.onConnect = {
          #expect(first.disconnects == 1)
          for node in nodes { node.transport.close() }
          loop.stop()
        }
        second.transport.close()
        guard let third = try? TestNode(2, loop, nonce: 7) else { return }
        nodes.append(third)
        introduce(first, third)
      }
      nodes = [first, second]
    }
  }

  @Test("a probe tells a dead process from a living one and from another")
  func probe() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      introduce(first, second)
      first.onConnect = { first.transport.probe(NodeID(2)) }
      first.onProbe = {
        if $0 == .sameProcess {
          second.nonce = 99  // as if it had been restarted
          first.transport.probe(NodeID(2))
        } else if $0 == .otherProcess {
          first.onConnect = {}
          second.transport.close()
        } else {
          for node in nodes { node.transport.close() }
          loop.stop()
        }
      }
      first.onDisconnect = { first.transport.probe(NodeID(2)) }
      nodes = [first, second]
    }
  }

  @Test("whatever is not our protocol is hung up on, and a waiting node can be discovered")
  func strangers() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      second.cluster = .none
      let address = "127.0.0.1:\(second.transport.boundPort)"
      _ = Dialer.connect(loop, to: loopback(port: second.transport.boundPort)) {
        guard case .success(let stream) = $0 else {
          Issue.record("not connected")
          return
        }
        let client = Peer(stream)
        client.write("GET / HTTP/1.1")
        client.didClose = { _ in
          #expect(client.received.isEmpty)
          first.transport.discover(address: address, name: "n2") {
            guard case .success(let peer) = $0 else {
              Issue.record("\($0)")
              return
            }
            #expect(peer.id == NodeID(2) && peer.cluster == .none)
            first.transport.discover(address: address, name: "n3") {
              guard case .failure(.refused(let refusal)) = $0 else {
                Issue.record("\($0)")
                return
              }
              #expect(refusal.code == .anotherTarget)
              for node in nodes { node.transport.close() }
              loop.stop()
            }
          }
        }
      }
      nodes = [first, second]
    }
  }

  @Test("a node that waits to be joined adopts the cluster of the member that dials it")
  func adoption() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      second.cluster = .none
      first.introduce(second)
      second.onConnect = {
        #expect(second.cluster == ClusterID(5))
        for node in nodes { node.transport.close() }
        loop.stop()
      }
      nodes = [first, second]
    }
  }

  @Test("the larger id dials when the smaller one does not know it yet")
  func patience() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      second.introduce(first)
      first.onConnect = {
        for node in nodes { node.transport.close() }
        loop.stop()
      }
      nodes = [first, second]
    }
  }

  @Test("a snapshot chunk goes on a connection of its own")
  func chunks() throws {
    var nodes: [TestNode] = []
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      introduce(first, second)
      first.onConnect = {
        let chunk = SnapshotChunk(
          lastEntry: .zero, offset: 0, size: 3, total: 3, round: 0)
        first.send(.snapshotChunk(chunk), to: 2, payload: [1, 2, 3])
      }
      second.onMessage = {
        #expect(second.payload == [1, 2, 3])
        #expect(first.transport.isConnected(NodeID(2)))
        for node in nodes { node.transport.close() }
        loop.stop()
      }
      nodes = [first, second]
    }
  }
}

private func introduce(_ left: TestNode, _ right: TestNode) {
  left.introduce(right)
  right.introduce(left)
}

/// One node of a test: a transport on the loopback, and what it was told.
private final class TestNode: TransportDelegate {
  let transport: PeerTransport
  private let number: UInt64
  var nonce: UInt64
  var cluster = ClusterID(5)
  var connects = 0
  var disconnects = 0
  var payload: [UInt8] = []
  var onConnect = {}
  var onDisconnect = {}
  var onMessage = {}
  var onProbe: (ProbeOutcome) -> Void = { _ in }

  init(_ number: UInt64, _ loop: EventLoop, nonce: UInt64? = nil) throws {
    self.number = number
    self.nonce = nonce ?? 1000 + number
    transport = PeerTransport(loop: loop, seed: number, logger: .silent)
    transport.delegate = self
    try transport.listen(at: loopback)
  }

  func introduce(_ other: TestNode) {
    transport.setPeers([
      RaftKV.Peer(
        id: NodeID(other.number), name: "n\(other.number)", memberSince: LogIndex(other.number),
        raftAddress: "127.0.0.1:\(other.transport.boundPort)")
    ])
  }

  func ping(_ other: UInt64) {
    send(.heartbeat(Heartbeat(commit: .zero, round: 1)), to: other, payload: [])
  }

  func send(_ message: Message, to other: UInt64, payload: [UInt8]) {
    let envelope = Envelope(
      from: NodeID(number), to: NodeID(other), term: Term(1), message: message)
    payload.withUnsafeBytes { transport.send(envelope, report: nil, payload: $0) }
    transport.flush()
  }

  var localIdentity: LocalIdentity {
    var identity = LocalIdentity.sample(number)
    identity.nonce = nonce
    identity.cluster = cluster
    return identity
  }
  var configuration: Configuration { Configuration(members: [.sample(1), .sample(2)]) }

  func didReceive(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {
    self.payload = Array(payload)
    onMessage()
  }
  func didConnect(_ peer: NodeID, hello: Hello) {
    connects += 1
    onConnect()
  }
  func didDisconnect(_ peer: NodeID) {
    disconnects += 1
    onDisconnect()
  }
  func didProbe(_ peer: NodeID, _ outcome: ProbeOutcome) { onProbe(outcome) }
  func didReceivePartialFrame(from peer: NodeID) {}
  func adopt(_ cluster: ClusterID, then completion: @escaping (Bool) -> Void) {
    self.cluster = cluster
    completion(true)
  }
  func didRefuse(_ hello: Hello, _ refusal: Refusal) {}
  func didMeetRefusal(from peer: NodeID, _ refusal: Refusal) {}
}
