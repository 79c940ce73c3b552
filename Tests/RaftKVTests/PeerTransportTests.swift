import Testing

@testable import RaftKV

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

  @Test("who is known at another address than it says is not probed there (C7, D12)")
  func probeOfFormerAddress() throws {
    try withEventLoop { loop in
      let first = try TestNode(1, loop)
      let second = try TestNode(2, loop)
      second.said = "elsewhere:1"
      introduce(first, second)
      first.onConnect = {
        first.transport.probe(NodeID(2))
        #expect(first.transport.link(to: NodeID(2))?.probe == nil)
        for node in [first, second] { node.transport.close() }
        loop.stop()
      }
    }
  }

  @Test("a probe says nothing of a process that connected while it was under way (C7)")
  func probeOfFormerProcess() {
    func hello(of process: UInt64) -> Hello {
      var identity = LocalIdentity.sample(2)
      identity.nonce = process
      return Hello(from: identity, to: Hello.Party(name: "n1"), purpose: .messages)
    }
    func outcome(of asked: UInt64, latest: UInt64, answer: UInt64?) -> ProbeOutcome {
      ProbeOutcome(of: hello(of: asked), latest: hello(of: latest), answer: answer)
    }
    #expect(outcome(of: 1, latest: 1, answer: 1) == .sameProcess)
    #expect(outcome(of: 1, latest: 1, answer: 2) == .otherProcess)
    #expect(outcome(of: 1, latest: 1, answer: nil) == .refused)
    for answer in [1, 2, 3, nil] as [UInt64?] {
      #expect(outcome(of: 1, latest: 2, answer: answer) == .undecided)
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
