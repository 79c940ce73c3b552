/// One connection to a peer: a session and the stream under it.
final class PeerConnection {
  /// A handshake takes one round trip; whoever needs longer is not a peer.
  static let handshakeTime = Interval.seconds(3)
  /// Said when nothing else was, so that silence means something.
  static let keepAliveInterval = Interval.seconds(1)
  /// A connection on which nothing came for so long is dead: half-open, or its process is stopped.
  static let silenceLimit = Interval.seconds(5)
  /// A snapshot connection has no keep-alives: an idle one is not needed any more.
  static let snapshotIdleTime = Interval.seconds(30)
  /// How long a refusal may take to reach the other side before we hang up.
  static let lingerTime = Interval.seconds(1)

  /// Held until the stream has closed: its last event may come after the owner let go.
  let transport: PeerTransport
  /// Whom we dialled; nil if we were dialled.
  let expected: Hello.Party?
  private(set) var purpose: Hello.Purpose
  var session: PeerSession
  var stream: Stream?
  var dial: Dial?
  /// Set once the peer is known.
  var link: PeerLink?
  /// When the handshake, or the farewell, must be over.
  var deadline: Instant
  var lastSent: Instant
  var lastReceived: Instant
  /// The delegate was asked to adopt this hello's cluster; it is asked once.
  var hasAskedToAdopt = false
  /// Set when the last frame is queued: no more is read, and the stream ends after it.
  private var isFarewell = false

  init(_ transport: PeerTransport, acceptedAs localID: NodeID, now: Instant) {
    self.transport = transport
    expected = nil
    purpose = .messages
    session = PeerSession(acceptingAs: localID)
    deadline = now + Self.handshakeTime
    lastSent = now
    lastReceived = now
  }

  init(_ transport: PeerTransport, dialling hello: Hello, now: Instant) {
    self.transport = transport
    expected = hello.target
    purpose = hello.purpose
    session = PeerSession(dialling: hello)
    deadline = now + Self.handshakeTime
    lastSent = now
    lastReceived = now
  }

  var isDialled: Bool { expected != nil }
  var isEstablished: Bool { session.phase == .established }
  /// Accepted, and its hello was not answered yet.
  var isStranger: Bool { !isDialled && !isEstablished && !isFarewell }
  var queuedBytes: Int { session.outbox.count + (stream?.unsentBytes ?? 0) }

  /// When time next does something to this connection.
  var nextDeadline: Instant {
    guard isEstablished, !isFarewell else { return deadline }
    if purpose == .snapshots { return max(lastSent, lastReceived) + Self.snapshotIdleTime }
    return min(lastSent + Self.keepAliveInterval, lastReceived + Self.silenceLimit)
  }

  /// Whether its time is up; an idle one says that it is alive instead.
  func isExpired(at now: Instant) -> Bool {
    guard now >= nextDeadline else { return false }
    guard isEstablished, !isFarewell, purpose == .messages else { return true }
    if now >= lastReceived + Self.silenceLimit { return true }
    session.outbox.appendKeepAlive()
    flush(at: now)
    return false
  }

  /// Time in which this process did not run is held against nobody (H1).
  func forgive(_ pause: Interval) {
    deadline = deadline + pause
    lastReceived = lastReceived + pause
  }

  // MARK: The stream

  func begin(on stream: Stream) {
    self.stream = stream
    // Batches of entries come one after another: their memory is kept, a
    // peer's connections are few.
    stream.keptCapacity = 1 << 20
    stream.didRead = { [self] bytes in didRead(bytes) }
    stream.didEnd = { [self] in transport.drop(self, because: "it was closed by the peer") }
    stream.didClose = { [self] error in
      transport.drop(self, because: error?.description ?? "it was closed")
    }
    stream.didDrain = { [self] in flush(at: transport.now) }
    flush(at: transport.now)
  }

  private func didRead(_ bytes: UnsafeRawBufferPointer) {
    guard !isFarewell else { return }
    lastReceived = transport.now
    var input = bytes
    while let event = session.nextEvent(from: &input) {
      transport.didHear(event, on: self)
    }
    if session.partialBytes > 0 { transport.didHearPart(on: self) }
  }

  /// Writes what is queued, as long as the kernel takes it. What it does not take stays here, where
  /// a heartbeat can still go ahead of it.
  func flush(at now: Instant) {
    guard let stream, stream.isOpen else { return }
    guard !session.outbox.isEmpty else { return }
    lastSent = now
    while stream.unsentBytes == 0, !session.outbox.isEmpty {
      stream.write(session.outbox.nextRun())
      session.outbox.didTake()
    }
  }

  /// Sends what is queued and hangs up once the other side has, or after `lingerTime`: closing at
  /// once could reset the connection before the last frame is read.
  func sayFarewell(at now: Instant) {
    isFarewell = true
    deadline = now + Self.lingerTime
    flush(at: now)
    stream?.shutdownWrite()
  }

  func becameEstablished(for purpose: Hello.Purpose, at now: Instant) {
    self.purpose = purpose
    lastReceived = now
  }

  func close() {
    session.close()
    dial?.cancel()
    dial = nil
    stream?.close()
  }
}
