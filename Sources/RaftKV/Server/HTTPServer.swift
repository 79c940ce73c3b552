/// Client connections: sockets on one side, `HTTPConnection` sessions on the other.
///
/// A connection sits in a slot; a token names slot and generation, so a reply for a connection that is gone
/// reaches nobody (I8). Replies are collected during the turn and written at its end, one write per client.
final class HTTPServer<Handler: RequestHandler>: ReplySink {
  private final class Client {
    let stream: Stream
    let session: HTTPConnection<Handler>
    let slot: Int
    let generation: UInt32
    var isDirty = false
    /// The response is out and our half is shut; what still comes is read and thrown away, so that the
    /// response is not lost to a reset (RFC 9112 §9.6).
    var lingerDeadline: Instant?
    var lingered = 0

    init(_ stream: Stream, _ session: HTTPConnection<Handler>, slot: Int, generation: UInt32) {
      self.stream = stream
      self.session = session
      self.slot = slot
      self.generation = generation
    }
  }

  /// Deadlines are ten seconds and more: looking once a second is exact enough, and costs nothing.
  private static var sweepInterval: Interval { .seconds(1) }
  private static var lingerTime: Interval { .seconds(1) }
  private static var lingerBytes: Int { 64 << 10 }

  private let loop: EventLoop
  private let handler: Handler
  private let limits: HTTPLimits
  private let logger: Logger
  private let maximumConnections: Int
  private var listeners: [Listener] = []
  private let timer: Timer

  private var clients: [Client?] = []
  private var generations: [UInt32] = []
  private var freeSlots: [Int] = []
  private var count = 0
  private var dirty: [Int] = []
  private var replies: [(RequestToken, Reply)] = []
  private var delivering: [(RequestToken, Reply)] = []
  private var mustResume = false

  init(
    loop: EventLoop, handler: Handler, limits: HTTPLimits, maximumConnections: Int, logger: Logger
  ) {
    self.loop = loop
    self.handler = handler
    self.limits = limits
    self.maximumConnections = maximumConnections
    self.logger = logger
    timer = Timer(loop)
    timer.didFire = { [unowned self] in sweep() }
    timer.arm(at: loop.now + Self.sweepInterval)
  }

  func listen(atAll addresses: [SocketAddress]) throws(LoopError) {
    listeners = try Listener.bind(loop, addresses)
    for listener in listeners {
      listener.didAccept = { [unowned self] stream in didAccept(stream) }
    }
  }

  /// Takes no more connections; those that are open go on.
  func stopListening() {
    for listener in listeners { listener.close() }
    listeners = []
  }

  // MARK: Connections

  private func didAccept(_ stream: Stream) {
    guard count < maximumConnections else {
      // Over the cap: an answer, never a silent reset.
      stream.didRead = { _ in }
      stream.didEnd = {}
      stream.didClose = { _ in }
      HTTPConnection<Handler>.refusal.withUnsafeBytes { stream.write($0) }
      stream.shutdownWrite()
      return stream.close()
    }
    let slot = freeSlots.popLast() ?? clients.count
    if slot == clients.count {
      clients.append(nil)
      generations.append(0)
    }
    generations[slot] &+= 1
    let session = HTTPConnection(
      handler: handler, limits: limits, connection: UInt32(slot), generation: generations[slot],
      now: loop.now)
    let client = Client(stream, session, slot: slot, generation: generations[slot])
    clients[slot] = client
    count += 1
    stream.didRead = { [unowned self, unowned client] bytes in didRead(bytes, client) }
    stream.didEnd = { [unowned self, unowned client] in
      client.session.receiveEnd(now: loop.now)
      markDirty(client)
    }
    stream.didDrain = { [unowned self, unowned client] in markDirty(client) }
    stream.didClose = { [unowned self] _ in didClose(slot) }
  }

  private func didRead(_ bytes: UnsafeRawBufferPointer, _ client: Client) {
    if client.lingerDeadline != nil {
      client.lingered += bytes.count
      if client.lingered > Self.lingerBytes { client.stream.close() }
      return
    }
    client.session.receive(bytes, now: loop.now)
    markDirty(client)
  }

  private func didClose(_ slot: Int) {
    clients[slot]?.session.close()
    clients[slot] = nil
    freeSlots.append(slot)
    count -= 1
  }

  private func markDirty(_ client: Client) {
    guard !client.isDirty else { return }
    client.isDirty = true
    dirty.append(client.slot)
  }

  private func client(_ token: RequestToken) -> Client? {
    let slot = Int(token.connection)
    guard slot < clients.count, let client = clients[slot], client.generation == token.generation
    else { return nil }
    return client
  }

  // MARK: Replies

  /// Only noted: the replica is in the middle of its turn, and answering may bring the next request.
  func reply(_ reply: Reply, to token: RequestToken) { replies.append((token, reply)) }

  func resumeHeldRequests() { mustResume = true }

  /// The end of a turn: what has been answered goes out. Requests that were waiting behind an answer are
  /// handled here; they are the next turn's work.
  func endTurn() {
    swap(&replies, &delivering)
    for (token, reply) in delivering {
      guard let client = client(token) else { continue }
      client.session.reply(reply, to: token, now: loop.now)
      markDirty(client)
    }
    if !delivering.isEmpty || mustResume { loop.requestAnotherTurn() }
    delivering.removeAll(keepingCapacity: true)
    if mustResume {
      mustResume = false
      for case let client? in clients where client.session.isHolding {
        client.session.resumeHeld(now: loop.now)
        markDirty(client)
      }
    }
    for slot in dirty {
      guard let client = clients[slot], client.isDirty else { continue }
      client.isDirty = false
      write(client)
    }
    dirty.removeAll(keepingCapacity: true)
  }

  private func write(_ client: Client) {
    guard client.stream.isOpen, client.lingerDeadline == nil else { return }
    let session = client.session
    // What the kernel does not take stays with the session, which stops handling requests meanwhile.
    if client.stream.unsentBytes == 0, !session.output.isEmpty {
      client.stream.write(session.output.readable)
      session.didWrite(session.output.count, now: loop.now)
    }
    if session.shouldClose, session.output.isEmpty, client.stream.unsentBytes == 0 {
      return linger(client)
    }
    if session.wantsRead { client.stream.resumeReading() } else { client.stream.pauseReading() }
  }

  private func linger(_ client: Client) {
    client.lingerDeadline = loop.now + Self.lingerTime
    client.stream.resumeReading()
    client.stream.shutdownWrite()
  }

  /// Whether every accepted request has been answered and written.
  var isQuiet: Bool {
    replies.isEmpty
      && clients.allSatisfy { client in
        guard let client else { return true }
        return client.session.isIdle && client.stream.unsentBytes == 0
      }
  }

  private func sweep() {
    let now = loop.now
    for case let client? in clients where client.stream.isOpen {
      if let deadline = client.lingerDeadline {
        if deadline <= now { client.stream.close() }
      } else if client.session.deadline <= now {
        client.session.deadlinePassed(now)
        if client.session.isStalled { client.stream.close() } else { markDirty(client) }
      }
    }
    timer.arm(at: now + Self.sweepInterval)
  }

  func close() {
    stopListening()
    timer.close()
    for case let client? in clients { client.stream.close() }
  }
}
