/// One connection's conversation, without a socket: bytes in, events out,
/// frames queued in `outbox`.
///
/// ```
///   accepted:  awaitingHello ──hello──▶ judging ──accept──▶ established ──▶ closed
///   dialled:   awaitingWelcome ─welcome─▶ judging ─establish─▶ established ──▶ closed
/// ```
/// A calm day: the dialler's hello is queued at once; the other side judges it and queues its
/// welcome; the dialler judges that; from then on both send messages. What may go wrong: a
/// refusal instead of the welcome, a frame out of turn, bytes that are no frames, messages that
/// name other nodes. Every one of these is an event, and the session is closed with it: what
/// still comes in is dropped.
package struct PeerSession: ~Copyable {
  package enum Phase: Equatable, Sendable {
    case awaitingHello
    case awaitingWelcome
    case judging
    case established
    case closed
  }

  package enum Event {
    /// Judge it, then `accept` or `refuse`.
    case hello(Hello)
    /// Judge it, then `establish` or `close`.
    case welcome(Hello)
    case refused(Refusal)
    /// The payload is borrowed until the next `nextEvent`.
    case message(MessageFrame)
    case failed(FrameError)
  }

  package private(set) var phase: Phase
  /// The other side's hello or welcome. Invariant: not nil once established.
  package private(set) var remote: Hello?
  package var outbox = Outbox()
  private var reader = FrameReader(bodyLimit: Hello.maximumSize)
  private let localID: NodeID
  private let isDialler: Bool

  /// We were dialled.
  package init(acceptingAs localID: NodeID) {
    self.localID = localID
    isDialler = false
    phase = .awaitingHello
  }

  /// We dial, and speak first.
  package init(dialling hello: Hello) {
    localID = hello.sender.id
    isDialler = true
    phase = .awaitingWelcome
    outbox.append(.hello, hello)
  }

  /// How much of an unfinished message has come.
  package var partialBytes: Int { phase == .established ? reader.partialBytes : 0 }

  /// The next thing that happened in `input`, or nil when it is used up.
  package mutating func nextEvent(from input: inout UnsafeRawBufferPointer) -> Event? {
    do throws(FrameError) {
      while phase != .closed, let frame = try reader.next(from: &input) {
        if let event = try event(for: frame) { return event }
      }
      return nil
    } catch {
      phase = .closed
      return .failed(error)
    }
  }

  /// The event that a frame is; nil for one that is to be ignored.
  private mutating func event(for frame: RawFrame) throws(FrameError) -> Event? {
    switch (phase, FrameType(rawValue: frame.type)) {
    case (.awaitingHello, .hello):
      return .hello(try readHello(frame, .hello))
    case (.awaitingWelcome, .welcome):
      return .welcome(try readHello(frame, .welcome))
    case (.awaitingWelcome, .refusal), (.established, .refusal):
      guard let refusal = Refusal(decoding: frame.body) else { throw .malformed(.refusal) }
      phase = .closed
      return .refused(refusal)
    case (.established, .hello), (.established, .welcome):
      throw .outOfTurn(frame.type)
    case (.established, _):
      return try message(frame).map(Event.message)
    default:
      throw .outOfTurn(frame.type)
    }
  }

  private mutating func readHello(
    _ frame: RawFrame, _ type: FrameType
  ) throws(FrameError) -> Hello {
    guard let hello = Hello(decoding: frame.body) else { throw .malformed(type) }
    remote = hello
    phase = .judging
    return hello
  }

  private func message(_ frame: RawFrame) throws(FrameError) -> MessageFrame? {
    guard let message = try FrameCodec.message(in: frame) else { return nil }
    let envelope = message.envelope
    // The connection belongs to two nodes; nobody speaks for a third (B15).
    guard envelope.from == remote?.sender.id, envelope.to == localID else {
      throw .misaddressed(from: envelope.from, to: envelope.to)
    }
    return message
  }

  // MARK: What the owner decides

  /// The hello is good: answer it.
  package mutating func accept(with welcome: Hello) {
    precondition(phase == .judging && !isDialler, "only a hello under judgement is accepted")
    outbox.append(.welcome, welcome)
    becomeEstablished()
  }

  /// The hello is not: say why. The owner closes once the outbox is empty.
  package mutating func refuse(_ refusal: Refusal) {
    guard phase != .closed else { return }
    outbox.append(refusal)
    phase = .closed
  }

  /// The welcome is good.
  package mutating func establish() {
    precondition(phase == .judging && isDialler, "only a welcome under judgement establishes")
    becomeEstablished()
  }

  private mutating func becomeEstablished() {
    phase = .established
    reader.bodyLimit = FrameCodec.maximumBodySize
  }

  package mutating func send(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {
    precondition(phase == .established, "messages follow the handshake")
    outbox.append(envelope, report: report, payload: payload)
  }

  package mutating func close() { phase = .closed }
}
