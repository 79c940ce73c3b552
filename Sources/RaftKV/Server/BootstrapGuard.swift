/// What stands between `-bootstrap` on an empty directory and a second
/// cluster beside an existing one.
///
/// The Raft address is listened on for a while: peers redial at least every second, so if
/// this name is a member of a cluster, one of its nodes says so, and then the disk was
/// wiped. With `-join`, every address is asked as well: where a member answers, there is a
/// cluster to join, not one to make.
final class BootstrapGuard: TransportDelegate {
  enum Verdict {
    case bootstrap
    case join
    case wipedDisk(FatalError)
  }

  private static let listeningTime = Interval.seconds(2)
  /// How long the addresses of `-join` may take to answer.
  private static let askingTime = Interval.seconds(3)

  private let loop: EventLoop
  private let settings: ReplicaSettings
  private let logger: Logger
  private let transport: PeerTransport
  private let timer: Timer
  private var verdict = Verdict.bootstrap
  private var asked: [JoinClient] = []
  private var unanswered = 0
  package let localIdentity: LocalIdentity
  package var configuration: Configuration { .empty }

  init(
    loop: EventLoop, settings: ReplicaSettings, identity: Identity, nonce: UInt64, logger: Logger
  ) {
    self.loop = loop
    self.settings = settings
    self.logger = logger
    transport = PeerTransport(loop: loop, seed: nonce, logger: logger)
    timer = Timer(loop)
    // Without a cluster: whoever counts on this name as a member names another incarnation.
    localIdentity = LocalIdentity(
      cluster: .none, name: settings.name, id: identity.node, memberSince: .zero, nonce: nonce,
      raftAddress: settings.raftAddress, httpAddress: settings.httpAddress)
    transport.delegate = self
    timer.didFire = { [unowned self] in didListen() }
  }

  /// Runs the loop until it is decided.
  func decide(
    listeningAt addresses: [SocketAddress], asking joinAddresses: [HostPort]
  ) throws(LoopError) -> Verdict {
    try transport.listen(atAll: addresses)
    logger.info(
      "-bootstrap on an empty data directory: listening for 2 s on \(settings.raftAddress), in "
        + "case a cluster knows this node already")
    unanswered = joinAddresses.count
    asked = joinAddresses.map { address in
      JoinClient.status(loop, at: address.description) { [unowned self] result in
        didAnswer(result, from: address)
      }
    }
    timer.arm(at: loop.now + Self.listeningTime)
    loop.run()
    for request in asked { request.cancel() }
    asked = []
    transport.close()
    timer.close()
    return verdict
  }

  private func didListen() {
    if unanswered > 0 {
      // One last wait for addresses that neither answer nor refuse.
      unanswered = 0
      return timer.arm(at: loop.now + (Self.askingTime - Self.listeningTime))
    }
    loop.stop()
  }

  private func didAnswer(
    _ result: Result<JoinClient.Answer, JoinClient.Failure>, from address: HostPort
  ) {
    unanswered -= 1
    guard case .success(let answer) = result, answer.status == 200,
      String(decoding: answer.body, as: UTF8.self).isStatusOfMember
    else { return }
    logger.info("\(address) is a member of a cluster already: joining it instead of making one")
    verdict = .join
    loop.stop()
  }

  // MARK: TransportDelegate

  func didRefuse(_ hello: Hello, _ refusal: Refusal) {
    guard hello.target.name == settings.name, hello.target.memberSince > .zero,
      hello.target.id != localIdentity.id
    else { return }
    verdict = .wipedDisk(
      FatalError(
        "cluster \(hello.cluster) counts \(settings.name) as a member, but this data directory is "
          + "empty: its disk was wiped. On the cluster: curl -X POST "
          + "'http://\(hello.httpAddress)/remove?id=\(settings.name)', then start this node with "
          + "-join \(hello.httpAddress) instead of -bootstrap", .wipedDisk))
    loop.stop()
  }

  func didReceive(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {}
  func didConnect(_ peer: NodeID, hello: Hello) {}
  func didDisconnect(_ peer: NodeID) {}
  func didProbe(_ peer: NodeID, _ outcome: ProbeOutcome) {}
  func didReceivePartialFrame(from peer: NodeID) {}
  func adopt(_ cluster: ClusterID, then completion: @escaping (Bool) -> Void) { completion(false) }
  func didMeetRefusal(from peer: NodeID, _ refusal: Refusal) {}
}

extension String {
  /// Whether a `/status` answer is that of a node in a cluster. Ours to read: we wrote its form.
  fileprivate var isStatusOfMember: Bool {
    contains("\"clusterId\":") && !contains("\"role\":\"waiting\"")
      && !contains("\"role\":\"removed\"")
  }
}
