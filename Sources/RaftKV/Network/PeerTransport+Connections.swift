/// How connections come, what is heard on them, and how they go.
extension PeerTransport {
  // MARK: Dialling

  func dialMessages(_ link: PeerLink, at now: Instant) {
    link.nextDial = now + link.nextBackoff(using: &random)
    link.messagesAttempt = dial(link, for: .messages, at: now)
  }

  /// A chunk goes on its own connection; the first one waits until that is established.
  func hold(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer,
    for link: PeerLink
  ) {
    let now = now
    guard link.snapshotsAttempt != nil || link.nextSnapshotDial <= now else { return }
    link.heldChunk.clear()
    link.heldChunk.appendFrame(envelope, report: report, payload: payload)
    guard link.snapshotsAttempt == nil else { return }
    link.nextSnapshotDial = now + Self.patience
    link.snapshotsAttempt = dial(link, for: .snapshots, at: now)
    if link.snapshotsAttempt == nil { link.heldChunk.clear() }
  }

  private func dial(
    _ link: PeerLink, for purpose: Hello.Purpose, at now: Instant
  ) -> PeerConnection? {
    guard let peer = link.peer, let local = delegate?.localIdentity else { return nil }
    let hello = Hello(from: local, to: peer.party, purpose: purpose)
    let connection = PeerConnection(self, dialling: hello, now: now)
    connection.link = link
    connections.append(connection)
    let dial = Dial(loop)
    connection.dial = dial
    dial.start(peer.raftAddress) { [self] result in
      connection.dial = nil
      switch result {
      case .success(let stream): connection.begin(on: stream)
      case .failure(let failure): drop(connection, because: failure.description)
      }
    }
    rearm()
    // A failure found at once has dropped it again.
    return connections.contains { $0 === connection } ? connection : nil
  }

  // MARK: Accepting

  func didAccept(_ stream: Stream) {
    let strangers = connections.reduce(0) { $0 + ($1.isStranger ? 1 : 0) }
    guard strangers < Self.maximumStrangers, let local = delegate?.localIdentity else {
      return stream.close()
    }
    let connection = PeerConnection(self, acceptedAs: local.id, now: now)
    connections.append(connection)
    connection.begin(on: stream)
    rearm()
  }

  // MARK: Hearing

  func didHear(_ event: PeerSession.Event, on connection: PeerConnection) {
    switch event {
    case .message(let frame):
      delegate?.didReceive(frame.envelope, report: frame.report, payload: frame.payload)
    case .hello(let hello):
      judge(hello, on: connection)
    case .welcome(let hello):
      judge(welcome: hello, on: connection)
    case .refused(let refusal):
      didMeet(refusal, on: connection)
    case .failed(let error):
      logger.warning("\(connection.remoteDescription): \(error)")
      drop(connection, because: error.description)
    }
  }

  func didHearPart(on connection: PeerConnection) {
    guard connection.isEstablished, let link = connection.link else { return }
    delegate?.didReceivePartialFrame(from: link.id)
  }

  private func judge(_ hello: Hello, on connection: PeerConnection) {
    guard let delegate else { return drop(connection, because: "the transport is closed") }
    let local = delegate.localIdentity
    let verdict = Handshake.judge(hello, local: local, configuration: delegate.configuration)
    switch verdict {
    case .accept:
      admit(connection, hello)
    case .refuse(let refusal):
      refuse(connection, refusal)
      logger.warning("\(connection.remoteDescription) is refused: \(refusal.sentence)")
      delegate.didRefuse(hello, refusal)
    case .adopt(let cluster):
      guard !connection.hasAskedToAdopt else {
        return drop(connection, because: "the cluster could not be adopted")
      }
      connection.hasAskedToAdopt = true
      delegate.adopt(cluster) { [weak self, weak connection] isDone in
        guard let self, let connection, connection.session.phase == .judging else { return }
        guard isDone else {
          return drop(connection, because: "the cluster could not be adopted")
        }
        judge(hello, on: connection)
      }
    }
  }

  private func refuse(_ connection: PeerConnection, _ refusal: Refusal) {
    connection.session.refuse(refusal)
    connection.sayFarewell(at: now)
    rearm()
  }

  private func judge(welcome: Hello, on connection: PeerConnection) {
    guard let local = delegate?.localIdentity, let expected = connection.expected else {
      return drop(connection, because: "the transport is closed")
    }
    switch Handshake.judge(welcome: welcome, expected: expected, local: local) {
    case .accept:
      connection.session.establish()
      install(connection, welcome)
    case .refuse(let refusal):
      didMeet(refusal, on: connection)
    case .adopt:
      preconditionFailure("a node without a cluster dials nobody")
    }
  }

  private func didMeet(_ refusal: Refusal, on connection: PeerConnection) {
    drop(connection, because: refusal.sentence)
    // Not an error: the other connection is, or will soon be, established.
    guard refusal.code != .duplicateConnection, let expected = connection.expected else { return }
    logger.warning("'\(expected.name)' refuses us: \(refusal.sentence)")
    delegate?.didMeetRefusal(from: expected.id, refusal)
  }

  // MARK: Establishing

  /// A good hello is answered, unless there is a better connection or no room.
  private func admit(_ connection: PeerConnection, _ hello: Hello) {
    guard let delegate else { return }
    let local = delegate.localIdentity
    if hello.purpose == .messages, isRedundant(dialledBy: hello.sender.id, hello) {
      return refuse(
        connection,
        Refusal(.duplicateConnection, "another connection between us exists", by: local))
    }
    forgetGuests()
    let guests = links.reduce(0) { $0 + ($1.peer == nil ? 1 : 0) }
    let isKnown = hello.purpose == .probe || link(to: hello.sender.id) != nil
    guard isKnown || guests < Self.maximumGuests else {
      return refuse(connection, Refusal(.busy, "too many nodes are connected", by: local))
    }
    var target = hello.sender
    target.memberSince = delegate.configuration.member(target.id)?.memberSince ?? .zero
    connection.session.accept(with: Hello(from: local, to: target, purpose: hello.purpose))
    if hello.purpose == .probe {
      connection.sayFarewell(at: now)
      return rearm()
    }
    connection.flush(at: now)
    install(connection, hello)
  }

  /// Whether the connection that exists is to be kept instead of one dialled by this node. Both
  /// sides judge alike: between the same two processes the one that the smaller id dialled stays.
  private func isRedundant(dialledBy dialler: NodeID, _ hello: Hello) -> Bool {
    guard let local = delegate?.localIdentity.id,
      let existing = link(to: hello.sender.id)?.messages, existing.isEstablished,
      existing.session.remote?.nonce == hello.nonce
    else { return false }
    let smaller = min(local, hello.sender.id)
    let existingDialler = existing.isDialled ? local : hello.sender.id
    return existingDialler == smaller && dialler != smaller
  }

  /// The connection is established: it takes its place, and that of an older one.
  private func install(_ connection: PeerConnection, _ hello: Hello) {
    guard let local = delegate?.localIdentity.id else { return }
    let now = now
    if connection.isDialled, hello.purpose == .messages, isRedundant(dialledBy: local, hello) {
      return drop(connection, because: "another connection exists")
    }
    connection.becameEstablished(for: hello.purpose, at: now)
    let link = link(to: hello.sender.id) ?? addLink(to: hello.sender.id)
    if link.peer == nil { link.expiry = now + Self.guestTime }
    if let older = hello.purpose == .messages ? link.messages : link.snapshots {
      drop(older, because: "a newer connection takes its place")
    }
    connection.link = link
    link.lastHello = hello
    link.backoff = PeerLink.firstBackoff
    if hello.purpose == .snapshots {
      installSnapshots(connection, on: link, at: now)
    } else {
      if link.messagesAttempt === connection { link.messagesAttempt = nil }
      link.messages = connection
      logger.info("connected with '\(hello.sender.name)' (\(hello.sender.id))")
      delegate?.didConnect(link.id, hello: hello)
    }
    rearm()
  }

  private func installSnapshots(
    _ connection: PeerConnection, on link: PeerLink, at now: Instant
  ) {
    if link.snapshotsAttempt === connection { link.snapshotsAttempt = nil }
    link.snapshots = connection
    guard !link.heldChunk.isEmpty else { return }
    connection.session.outbox.append(chunkFrame: link.heldChunk.readable)
    link.heldChunk.clear()
    connection.flush(at: now)
  }

  // MARK: Going

  /// Closes a connection and forgets it; nothing that it still brings is heard. Does nothing twice.
  func drop(_ connection: PeerConnection, because reason: String) {
    guard let place = connections.firstIndex(where: { $0 === connection }) else { return }
    connections.remove(at: place)
    connection.close()
    guard let link = connection.link else { return }
    connection.link = nil
    if link.snapshots === connection { link.snapshots = nil }
    if link.messagesAttempt === connection { link.messagesAttempt = nil }
    if link.snapshotsAttempt === connection {
      link.snapshotsAttempt = nil
      link.heldChunk.clear()
    }
    if link.messages === connection {
      link.messages = nil
      planRedial(link)
      logger.info("the connection with \(link.id) ended: \(reason)")
      delegate?.didDisconnect(link.id)
    }
    rearm()
  }

  private func planRedial(_ link: PeerLink) {
    let wait = link.nextBackoff(using: &random)
    link.nextDial = now + (isOurs(toDial: link.id) ? wait : max(wait, Self.patience))
  }
}

extension PeerConnection {
  /// For the log: who is at the other end, as far as we know.
  var remoteDescription: String {
    let address = stream?.remoteAddress ?? "unknown address"
    guard let name = session.remote?.sender.name ?? expected?.name else { return address }
    return "'\(name)' at \(address)"
  }
}
