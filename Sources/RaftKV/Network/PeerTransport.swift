/// Connections to the other nodes, over TCP.
///
/// A calm day: the member with the smaller id dials, hellos are exchanged, and from then on there
/// is one ordered connection for messages (B16) until one of the two processes ends. A leader that
/// has a snapshot to send dials a second one for it.
///
/// Other days:
/// - The dial fails: again after a while that doubles from 50 ms to 0.9 s.
/// - The smaller id does not dial, because it does not know us yet: after `patience` we do.
/// - Both dialled: both sides keep the connection that the smaller id dialled. If the other process
///   is not the one we were connected to, the newer connection is the one that lives.
/// - A replaced connection is closed before the new one is used; its late frames are dropped (J3).
/// - Whoever does not say hello in 3 s, or nothing for 5 s, or something that
///   is no frame, is dropped.
package final class PeerTransport: Transport {
  /// How long the larger id waits for the smaller one to dial.
  static let patience = Interval.milliseconds(200)
  /// Accepted connections without a complete hello. A cluster has at most 16 members; the rest is
  /// room for strangers, whose memory is bounded so.
  static let maximumStrangers = 64
  /// Nodes that are no members and yet connected: candidates we do not
  /// know yet, nodes just removed.
  static let maximumGuests = 32
  /// How long a node that is no member may stay: time to be told that it was removed.
  static let guestTime = Interval.seconds(10)
  /// A timer this late means that the process did not run, not that the peers were silent.
  static let pauseThreshold = Interval.seconds(1)

  /// One dynamic call per frame; class-bound, so nothing is allocated for it.
  package weak var delegate: (any TransportDelegate)?
  let loop: EventLoop
  let logger: Logger
  var random: Random
  /// Linear everywhere: a handful of members, and bounded numbers of others.
  var links: [PeerLink] = []
  var connections: [PeerConnection] = []
  private var inquiries: [Inquiry] = []
  private var listeners: [Listener] = []
  private let timer: Timer
  private var isClosed = false

  /// `seed` spreads the dials in time.
  package init(loop: EventLoop, seed: UInt64, logger: Logger) {
    self.loop = loop
    self.logger = logger.with(area: "peer")
    random = Random(seed: seed)
    timer = Timer(loop)
    timer.didFire = { [unowned self] in didFire() }
  }

  var now: Instant { loop.now }

  /// Accepts peers at this address from now on.
  package func listen(at address: SocketAddress) throws(LoopError) {
    try listen(atAll: [address])
  }

  /// Accepts peers at every address that a name stands for.
  package func listen(atAll addresses: [SocketAddress]) throws(LoopError) {
    listeners = try Listener.bind(loop, addresses)
    for listener in listeners {
      listener.didAccept = { [unowned self] stream in didAccept(stream) }
    }
  }

  /// The port that `listen` got, 0 before.
  package var boundPort: UInt16 { listeners.first?.boundPort ?? 0 }

  /// Hangs up everywhere; the delegate hears nothing more.
  package func close() {
    isClosed = true
    delegate = nil
    for listener in listeners { listener.close() }
    timer.close()
    for inquiry in inquiries { inquiry.cancel() }
    for connection in connections { connection.close() }
    for link in links {
      link.probe = nil
      link.messages = nil
      link.snapshots = nil
      link.messagesAttempt = nil
      link.snapshotsAttempt = nil
    }
    inquiries = []
    connections = []
    links = []
  }

  // MARK: Transport

  package func setPeers(_ peers: [Peer]) {
    let now = now
    for link in links where link.peer != nil && !peers.contains(where: { $0.id == link.id }) {
      link.peer = nil
      link.expiry = now + Self.guestTime
    }
    for peer in peers {
      precondition(peer.id != delegate?.localIdentity.id, "a node is not its own peer")
      let link = link(to: peer.id) ?? addLink(to: peer.id)
      let isNews = link.peer?.raftAddress != peer.raftAddress
      link.peer = peer
      link.expiry = .distantFuture
      guard isNews else { continue }
      link.backoff = PeerLink.firstBackoff
      link.nextDial = isOurs(toDial: peer.id) ? now : now + Self.patience
    }
    rearm()
  }

  package func send(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {
    guard let link = link(to: envelope.to) else { return }
    switch envelope.message {
    case .snapshotChunk:
      guard let connection = link.snapshots else {
        return hold(envelope, report: report, payload: payload, for: link)
      }
      send(envelope, report: report, payload: payload, on: connection)
    case .snapshotReply:
      guard let connection = link.snapshots ?? link.messages else { return }
      send(envelope, report: report, payload: payload, on: connection)
    default:
      guard let connection = link.messages else { return }
      send(envelope, report: report, payload: payload, on: connection)
    }
  }

  private func send(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer,
    on connection: PeerConnection
  ) {
    guard connection.isEstablished else { return }
    connection.session.send(envelope, report: report, payload: payload)
    guard connection.session.outbox.hasOverflown else { return }
    logger.warning("\(envelope.to) does not take its messages; its connection is closed")
    connection.close()  // The delegate hears of it from the stream's close callback.
  }

  package func isConnected(_ peer: NodeID) -> Bool {
    link(to: peer)?.messages?.isEstablished ?? false
  }

  package func queuedBytes(_ peer: NodeID) -> Int {
    guard let link = link(to: peer) else { return 0 }
    return (link.messages?.queuedBytes ?? 0) + (link.snapshots?.queuedBytes ?? 0)
      + link.heldChunk.count
  }

  package func flush() {
    let now = now
    for connection in connections where connection.isEstablished { connection.flush(at: now) }
  }

  package func probe(_ peer: NodeID) {
    guard let link = link(to: peer), let target = link.peer, let process = link.lastHello,
      target.raftAddress == process.raftAddress, link.probe == nil
    else { return }
    link.probe = inquire(target.raftAddress, of: target.party) { [unowned self, weak link] in
      guard let link else { return }
      link.probe = nil
      func outcome(_ answer: UInt64?) -> ProbeOutcome {
        ProbeOutcome(of: process, latest: link.lastHello, answer: answer)
      }
      switch $0 {
      case .connectionRefused: delegate?.didProbe(peer, outcome(nil))
      case .welcome(let hello): delegate?.didProbe(peer, outcome(hello.nonce))
      case .refused(let refusal): delegate?.didProbe(peer, outcome(refusal.nonce))
      case .failed: delegate?.didProbe(peer, .undecided)
      }
    }
  }

  package func hangUp(on peer: NodeID) {
    guard let link = link(to: peer) else { return }
    close(link, backoff: PeerLink.longestBackoff)
  }

  package func greetAnew() {
    for link in links { close(link, backoff: PeerLink.firstBackoff) }
  }

  package func askAgain(_ peer: NodeID) {
    guard let link = link(to: peer) else { return }
    close(link, backoff: PeerLink.firstBackoff)
  }

  private func close(_ link: PeerLink, backoff: Interval) {
    link.backoff = backoff
    // The delegate hears of it from the streams' close callbacks.
    link.messages?.close()
    link.snapshots?.close()
  }

  package func discover(
    address: String, name: String,
    completion: @escaping (Result<PeerDescription, DiscoveryFailure>) -> Void
  ) {
    _ = inquire(address, of: Hello.Party(name: name)) { outcome in
      switch outcome {
      case .welcome(let hello): completion(.success(PeerDescription(hello)))
      case .refused(let refusal): completion(.failure(.refused(refusal)))
      case .connectionRefused: completion(.failure(.unreachable("connection refused")))
      case .failed(let failure): completion(.failure(failure))
      }
    }
  }

  private func inquire(
    _ address: String, of target: Hello.Party,
    completion: @escaping (Inquiry.Outcome) -> Void
  ) -> Inquiry? {
    guard let local = delegate?.localIdentity else { return nil }
    let hello = Hello(from: local, to: target, purpose: .probe)
    let inquiry = Inquiry(loop, hello: hello) { [unowned self] outcome in
      inquiries.removeAll { $0.isOver }
      completion(outcome)
    }
    inquiries.append(inquiry)
    inquiry.start(address)
    rearm()
    return inquiry
  }

  // MARK: Links

  func link(to id: NodeID) -> PeerLink? { links.first { $0.id == id } }

  func addLink(to id: NodeID) -> PeerLink {
    let link = PeerLink(id: id, nextDial: .distantFuture)
    links.append(link)
    return link
  }

  /// Between two members the smaller id dials.
  func isOurs(toDial peer: NodeID) -> Bool {
    guard let local = delegate?.localIdentity.id else { return false }
    return local < peer
  }

  // MARK: Time

  /// The one timer is set to the next thing that time does. What moves a deadline back does not
  /// call this: the timer then goes off early, once, and is set again.
  func rearm() {
    guard !isClosed else { return }
    var next = Instant.distantFuture
    for link in links { next = min(next, link.nextDeadline) }
    for connection in connections { next = min(next, connection.nextDeadline) }
    for inquiry in inquiries { next = min(next, inquiry.deadline) }
    armed = next
    timer.arm(at: next)
  }
  private var armed = Instant.distantFuture

  private func didFire() {
    let now = now
    // After SIGSTOP or a stall the peers' words lie in our sockets,
    // unread: they were not silent (H1).
    if now - armed > Self.pauseThreshold {
      for connection in connections { connection.forgive(now - armed) }
    }
    for connection in connections where connection.isExpired(at: now) {
      drop(connection, because: "it was silent for too long")
    }
    for inquiry in inquiries where inquiry.deadline <= now { inquiry.expire() }
    for link in links where link.nextDeadline <= now {
      if link.expiry <= now { dismiss(link) } else { dialMessages(link, at: now) }
    }
    forgetGuests()
    rearm()
  }

  /// Nothing is kept of a node that is no member and has hung up.
  func forgetGuests() { links.removeAll { $0.isIdle && $0.peer == nil } }

  private func dismiss(_ link: PeerLink) {
    let held = [link.messages, link.snapshots, link.messagesAttempt, link.snapshotsAttempt]
    for connection in held {
      if let connection { drop(connection, because: "its node is no member") }
    }
  }
}

extension Peer {
  var party: Hello.Party { Hello.Party(name: name, id: id, memberSince: memberSince) }
}
