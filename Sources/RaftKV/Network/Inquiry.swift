/// Dials an address, exchanges hellos and hangs up: is somebody there, and who?
final class Inquiry {
  enum Outcome {
    case welcome(Hello)
    case refused(Refusal)
    case connectionRefused
    case failed(DiscoveryFailure)
  }

  /// Whoever lives answers within this; a name server, a route and a busy loop have their time.
  static let patience = Interval.seconds(3)

  private(set) var deadline: Instant
  private let loop: EventLoop
  private let dial: Dial
  private var session: PeerSession
  private var stream: Stream?
  private var completion: ((Outcome) -> Void)?
  /// What is said when the deadline passes.
  private var verdict = DiscoveryFailure.timedOut

  init(_ loop: EventLoop, hello: Hello, completion: @escaping (Outcome) -> Void) {
    self.loop = loop
    self.completion = completion
    dial = Dial(loop)
    session = PeerSession(dialling: hello)
    deadline = loop.now + Self.patience
  }

  var isOver: Bool { completion == nil }

  /// The completion is never called before this returns.
  func start(_ address: String) {
    var isStarting = true
    dial.start(address) { [self] result in
      switch result {
      case .success(let stream): begin(on: stream)
      case .failure(.connectionRefused): finish(.connectionRefused)
      case .failure(.unreachable(let error)):
        finish(.failed(.unreachable(error.description)))
      case .failure(.unresolvable(let reason)) where isStarting:
        verdict = .unresolvable(reason)
        deadline = loop.now
      case .failure(.unresolvable(let reason)):
        finish(.failed(.unresolvable(reason)))
      }
    }
    isStarting = false
  }

  func expire() { finish(.failed(verdict)) }

  func cancel() {
    completion = nil
    dial.cancel()
    stream?.close()
  }

  private func begin(on stream: Stream) {
    self.stream = stream
    stream.didRead = { [self] bytes in didRead(bytes) }
    stream.didEnd = { [self] in finish(.failed(.notAPeer("it hung up"))) }
    stream.didClose = { [self] error in
      finish(.failed(.notAPeer(error?.description ?? "it hung up")))
    }
    stream.write(session.outbox.nextRun())
    session.outbox.didTake()
  }

  private func didRead(_ bytes: UnsafeRawBufferPointer) {
    var input = bytes
    guard !isOver, let event = session.nextEvent(from: &input) else { return }
    switch event {
    case .welcome(let hello): finish(.welcome(hello))
    case .refused(let refusal): finish(.refused(refusal))
    case .failed(let error): finish(.failed(.notAPeer(error.description)))
    case .hello, .message: preconditionFailure("a dialler's session hears a welcome first")
    }
  }

  private func finish(_ outcome: Outcome) {
    guard let completion else { return }
    cancel()
    completion(outcome)
  }
}
