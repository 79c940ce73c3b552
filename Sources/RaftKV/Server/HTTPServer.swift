/// Client connections: sockets on one side, `HTTPConnection` sessions on the other.
///
/// A connection sits in a slot; a token names slot and generation, so a reply for a connection
/// that is gone reaches nobody (I8). Replies are collected during the turn and written at its
/// end, one write per client.
package final class HTTPServer<Handler: RequestHandler>: ReplySink {
  private final class Client {
    let slot: Int
    let stream: Stream
    var session: HTTPConnection<Handler>
    var isDirty = false
    var hasShutDown = false
    /// What the kernel had not taken when last looked at, and since when that has not changed.
    var stalled = (bytes: 0, since: Instant.zero)
    /// What of the total is this client's.
    var buffered = 0
    /// False for one that came over the cap, and only stays until it has read why it cannot.
    let isAdmitted: Bool

    init(_ stream: Stream, _ session: consuming HTTPConnection<Handler>, isAdmitted: Bool) {
      slot = Int(session.id)
      self.stream = stream
      self.session = session
      self.isAdmitted = isAdmitted
    }
  }

  /// Deadlines are a second and more: looking twice a second is exact enough, and costs nothing.
  private static var sweepInterval: Interval { .milliseconds(500) }
  /// A sweep that comes later than this shows that the loop stood still.
  private static var longestLateness: Interval { .seconds(2) }

  private let loop: EventLoop
  private let handler: Handler
  private var limits: HTTPLimits
  private let logger: Logger
  private(set) var maximumConnections: Int
  /// Of half-received requests and unread answers, over all connections. Beyond this, whoever sends
  /// more of an unfinished request is refused: each connection's own limits alone would add up to
  /// more memory than a machine has.
  private let maximumBuffered: Int
  private var listeners: [Listener] = []
  private let timer: Timer
  private var sweepDue: Instant
  let metrics: RequestMetrics
  private let scratch: RequestScratch

  private var clients: [Client?] = []
  private var generations: [UInt32] = []
  private var freeSlots: [Int] = []
  /// Admitted clients.
  private(set) var count = 0
  /// The slots of those that were turned away and are still here, oldest first.
  private var turnedAway: [Int] = []
  private(set) var buffered = 0
  private var dirty: [Int] = []
  private var replies: [(RequestToken, Reply)] = []
  private var delivering: [(RequestToken, Reply)] = []
  private var mustResume = false

  package init(
    loop: EventLoop, handler: Handler, limits: HTTPLimits, maximumConnections: Int,
    maximumBuffered: Int? = nil, metrics: RequestMetrics = RequestMetrics(), logger: Logger
  ) {
    self.loop = loop
    self.handler = handler
    self.limits = limits
    self.maximumConnections = maximumConnections
    // Some of the largest requests always fit.
    self.maximumBuffered = maximumBuffered ?? max(256 << 20, 4 * limits.maximumJSON)
    self.logger = logger
    self.metrics = metrics
    scratch = RequestScratch(metrics: metrics)
    timer = Timer(loop)
    sweepDue = loop.now + Self.sweepInterval
    timer.didFire = { [unowned self] in sweep() }
    timer.arm(at: sweepDue)
  }

  package func listen(atAll addresses: [SocketAddress]) throws(LoopError) {
    listeners = try Listener.bind(loop, addresses)
    for listener in listeners {
      listener.didAccept = { [unowned self] stream in didAccept(stream) }
    }
  }

  /// The port that `listen` got, 0 before.
  package var boundPort: UInt16 { listeners.first?.boundPort ?? 0 }

  /// The next answer on each connection is its last. New connections are still taken: until
  /// everyone has noticed that this node goes, they are better answered than refused.
  func beginDrain() { scratch.isDraining = true }

  var isListening: Bool { !listeners.isEmpty }
  /// Whether somebody is in the middle of a request, or waits for an answer.
  var isBusy: Bool {
    clients.contains { client in
      guard let client else { return false }
      return !client.session.isIdle && client.session.closing == .no
    }
  }

  /// Takes no more connections, and closes those on which nothing is going on.
  func endDrain() {
    stopListening()
    for case let client? in clients where client.session.isIdle { client.stream.close() }
  }

  private func stopListening() {
    for listener in listeners { listener.close() }
    listeners = []
  }

  /// Holds for requests that begin from now on. Connections over a lowered cap stay.
  func setLimits(_ limits: HTTPLimits, maximumConnections: Int) {
    self.limits = limits
    self.maximumConnections = maximumConnections
    for case let client? in clients { client.session.limits = limits }
  }

  func setAccessLog(_ log: AccessLog?) { scratch.accessLog = log }

  // MARK: Connections

  /// Over the cap: an answer, never a silent reset. So a connection that is turned away stays until
  /// its client has read the answer, for a second at most. Each needs a descriptor, of those that
  /// the cap leaves free; beyond this many, the one that has had its answer for longest makes room.
  private static var maximumTurnedAway: Int { 64 }

  private func didAccept(_ stream: Stream) {
    let isAdmitted = count < maximumConnections
    let slot = freeSlots.popLast() ?? clients.count
    if slot == clients.count {
      clients.append(nil)
      generations.append(0)
    }
    generations[slot] &+= 1
    let session = HTTPConnection(
      id: UInt32(slot), generation: generations[slot], limits: limits, handler: handler,
      scratch: scratch, now: loop.now)
    let client = Client(stream, session, isAdmitted: isAdmitted)
    clients[slot] = client
    if isAdmitted {
      count += 1
      metrics.acceptedConnections &+= 1
    } else {
      turnAway(client)
    }
    stream.didRead = { [unowned self, unowned client] bytes in didRead(bytes, client) }
    stream.didEnd = { [unowned self, unowned client] in
      client.session.receiveEnd(at: loop.now)
      markDirty(client)
    }
    stream.didDrain = { [unowned self, unowned client] in markDirty(client) }
    stream.didClose = { [unowned self] _ in didClose(slot) }
  }

  private func turnAway(_ client: Client) {
    metrics.rejectedConnections &+= 1
    if turnedAway.count >= Self.maximumTurnedAway {
      clients[turnedAway.removeFirst()]?.stream.close()
    }
    turnedAway.append(client.slot)
    client.session.turnAway(at: loop.now)
    markDirty(client)
  }

  private func didRead(_ bytes: UnsafeRawBufferPointer, _ client: Client) {
    let now = loop.now
    metrics.readAt = now
    metrics.bytesReceived &+= UInt64(bytes.count)
    client.session.receive(bytes, at: now)
    account(client)
    if buffered > maximumBuffered {
      metrics.shedRequests &+= 1
      client.session.shed(at: now)
      account(client)
    }
    markDirty(client)
  }

  private func account(_ client: Client) {
    let bytes = client.session.bufferedBytes + client.stream.unsentBytes
    buffered += bytes - client.buffered
    client.buffered = bytes
  }

  private func didClose(_ slot: Int) {
    guard let client = clients[slot] else { return }
    buffered -= client.buffered
    clients[slot] = nil
    freeSlots.append(slot)
    if client.isAdmitted { count -= 1 } else { turnedAway.removeAll { $0 == slot } }
  }

  private func markDirty(_ client: Client) {
    guard !client.isDirty else { return }
    client.isDirty = true
    dirty.append(client.slot)
  }

  private func client(_ token: RequestToken) -> Client? {
    let slot = Int(token.connection)
    guard slot < clients.count, generations[slot] == token.generation else { return nil }
    return clients[slot]
  }

  // MARK: Replies

  /// Only noted: the replica is in the middle of its turn, and answering
  /// may bring the next request.
  package func reply(_ reply: Reply, to token: RequestToken) { replies.append((token, reply)) }

  package func resumeHeldRequests() { mustResume = true }

  /// The end of a turn: what has been answered goes out. Requests that were waiting behind an
  /// answer are handled here; they are the next turn's work.
  package func endTurn() {
    let now = loop.now
    metrics.readAt = now
    swap(&replies, &delivering)
    for (token, reply) in delivering {
      guard let client = client(token) else { continue }
      client.session.reply(reply, to: token, at: now)
      markDirty(client)
    }
    delivering.removeAll(keepingCapacity: true)
    if mustResume {
      mustResume = false
      for case let client? in clients {
        client.session.resumeHeld(at: now)
        markDirty(client)
      }
    }
    for slot in dirty {
      guard let client = clients[slot], client.isDirty else { continue }
      client.isDirty = false
      write(&client.session, to: client)
      account(client)
    }
    dirty.removeAll(keepingCapacity: true)
  }

  private func write(_ session: inout HTTPConnection<Handler>, to client: Client) {
    let stream = client.stream
    guard stream.isOpen else { return }
    // What the kernel does not take at once holds back the rest: it stays with the session, which
    // stops handling requests when it has too much of it.
    while stream.unsentBytes == 0, !session.output.isEmpty {
      metrics.bytesSent &+= UInt64(session.output.count)
      stream.write(session.output.readable)
      session.didWrite(session.output.count, at: loop.now)
    }
    if stream.unsentBytes == 0 {
      switch session.closing {
      case .no: break
      case .close: return stream.close()
      case .linger where !client.hasShutDown:
        client.hasShutDown = true
        stream.shutdownWrite()
      case .linger: break
      }
    }
    if session.wantsRead { stream.resumeReading() } else { stream.pauseReading() }
  }

  /// Whether every answer has reached the kernel.
  var isQuiet: Bool {
    replies.isEmpty
      && clients.allSatisfy { client in
        guard let client else { return true }
        return client.session.output.isEmpty && client.stream.unsentBytes == 0
      }
  }

  private func sweep() {
    let now = loop.now
    let isLate = now - sweepDue > Self.longestLateness
    sweepDue = now + Self.sweepInterval
    defer { timer.arm(at: sweepDue) }
    // We stood still, and not our clients: what they have sent and taken meanwhile is looked at
    // first (H1).
    guard !isLate else { return forgiveStall(at: now) }
    for case let client? in clients where client.stream.isOpen {
      if client.session.deadline <= now {
        client.session.deadlinePassed(at: now)
        markDirty(client)
      }
      let unsent = client.stream.unsentBytes
      if unsent == 0 || unsent != client.stalled.bytes {
        client.stalled = (unsent, now)
      } else if now - client.stalled.since > HTTPLimits.writeStallTime {
        client.stream.close()
      }
    }
  }

  private func forgiveStall(at now: Instant) {
    for case let client? in clients { client.stalled = (client.stream.unsentBytes, now) }
  }

  package func close() {
    stopListening()
    timer.close()
    for case let client? in clients { client.stream.close() }
  }
}
