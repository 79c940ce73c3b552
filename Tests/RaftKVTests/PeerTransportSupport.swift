import RaftKV

func introduce(_ left: TestNode, _ right: TestNode) {
  left.introduce(right)
  right.introduce(left)
}

/// One node of a test: a transport on the loopback, and what it was told.
final class TestNode: TransportDelegate {
  let transport: PeerTransport
  private let number: UInt64
  var nonce: UInt64
  var cluster = ClusterID(5)
  /// Where it says that it listens, if not where it does.
  var said: String?
  var connects = 0
  var disconnects = 0
  var payload: [UInt8] = []
  var onConnect = {}
  var onDisconnect = {}
  var onMessage = {}
  var onEnvelope: (Envelope) -> Void = { _ in }
  var onProbe: (ProbeOutcome) -> Void = { _ in }

  init(
    _ number: UInt64, _ loop: EventLoop, nonce: UInt64? = nil, at address: SocketAddress = loopback
  ) throws {
    self.number = number
    self.nonce = nonce ?? 1000 + number
    transport = PeerTransport(loop: loop, seed: number, logger: .silent)
    transport.delegate = self
    try transport.listen(at: address)
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
    identity.raftAddress = said ?? "127.0.0.1:\(transport.boundPort)"
    return identity
  }
  var configuration: Configuration { Configuration(members: [.sample(1), .sample(2)]) }

  func didReceive(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {
    self.payload = Array(payload)
    onEnvelope(envelope)
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
