import RaftKV

/// Where the clients of a process speak HTTP: production's connections, parser, router and writer,
/// with sockets of ours. Requests are cut into fragments that arrive one by one, some are
/// pipelined, some clients read slowly, hang up, or send what no server understands.
///
/// Invariant 13: nothing is read beyond a fragment, and each request gets one response, in order,
/// that says what the replica has said.
final class HTTPPort: RequestHandler {
  private unowned(unsafe) let world: World
  private unowned(unsafe) let port: ClientPort
  private let host: Int
  private let epoch: Int
  unowned(unsafe) var replica: Process.Node!
  private let scratch = RequestScratch()
  private let limits = HTTPLimits(maximumValue: 4096)
  private var links: [HTTPLink] = []
  private var generation: UInt32 = 0
  private var isSweepPlanned = false
  /// Asked, and to be answered later, whether or not the connection lives to hear it.
  private var pending: [(token: RequestToken, request: Request?)] = []
  private var replies: [(token: RequestToken, reply: Reply)] = []
  private var mustResume = false
  /// Since the last end of a turn.
  private var hasAsked = false

  /// Comes behind the last request of a connection, and must be read by nobody.
  private static let tail = Array("GET /key?key=k%00&level=stale HTTP/1.1\r\nHost: n1\r\n\r\n".utf8)
  private static let sweepInterval = 500 * Duration.millisecond
  /// As the server has it: what comes later shows that the loop stood still (H1).
  private static let longestLateness = 2 * Duration.second

  init(_ world: World, _ port: ClientPort, host: Int, epoch: Int) {
    self.world = world
    self.port = port
    self.host = host
    self.epoch = epoch
  }

  private var now: Instant { world.hosts[host].clock.instant(at: world.now) }

  private func fail(_ link: HTTPLink, _ message: String) {
    world.fail(.http, "n\(host + 1) to c\(link.client): \(message)")
  }

  // MARK: Sending

  /// A client's request, on a connection that it has, or on a new one.
  func send(_ request: Request) {
    let link = link(of: request.client)
    while world.httpRandom.coin(0.2) { accompany(request, on: link) }
    let encoded = EncodedRequest(request.action, key: request.key, of: world, &world.httpRandom)
    send(HTTPLink.Entry(encoded: encoded, request: request), on: link)
    // Behind a body that waits, nothing else may be sent.
    while !link.isFinished, link.heldBody.isEmpty, world.httpRandom.coin(0.2) {
      accompany(request, on: link)
    }
    if !link.isFinished, link.heldBody.isEmpty, world.httpRandom.coin(0.02) {
      world.marks.hit(.httpRefused)
      send(HTTPLink.Entry(encoded: EncodedRequest(last: &world.httpRandom)), on: link)
    }
    if link.heldBody.isEmpty, world.httpRandom.coin(0.02) { end(link) }
    planSweep()
  }

  private func link(of client: Int) -> HTTPLink {
    if let link = links.first(where: { $0.client == client && !$0.isDead }) {
      let isBusy = !link.entries.isEmpty
      if !link.isFinished, link.heldBody.isEmpty, world.httpRandom.coin(isBusy ? 0.5 : 0.9) {
        if isBusy { world.marks.hit(.httpPipelined) }
        return link
      }
      hangUp(link)
    }
    generation += 1
    let session = HTTPConnection(
      id: generation, generation: UInt32(epoch), limits: limits, handler: self, scratch: scratch,
      now: now)
    let link = HTTPLink(session, client: client)
    link.isSlow = world.httpRandom.coin(0.1)
    links.append(link)
    return link
  }

  private func accompany(_ request: Request, on link: HTTPLink) {
    guard !link.isFinished else { return }
    let encoded = EncodedRequest(
      companion: &world.httpRandom, key: request.key, of: world)
    var companion: Request?
    if case .replica(let action, let key) = encoded.expectation {
      companion = Request(
        client: request.client, sequence: 0, host: host, action: action, key: key)
    }
    send(HTTPLink.Entry(encoded: encoded, request: companion), on: link)
  }

  private func send(_ entry: HTTPLink.Entry, on link: HTTPLink) {
    guard !link.isFinished else {
      // The connection was used up by one that came along; the client notices.
      if let request = entry.request, request.sequence != 0 {
        port.deliveries.append((request, .connectionLost))
      }
      return
    }
    var entry = entry
    entry.mayHaveBody = !entry.encoded.expectsContinue
    link.add(entry)
    if entry.encoded.closes, world.httpRandom.coin(0.3) { entry.encoded.body += Self.tail }
    if entry.encoded.expectsContinue {
      transmit(entry.encoded.head, on: link)
      link.heldBody = entry.encoded.body
    } else {
      transmit(entry.encoded.head + entry.encoded.body, on: link)
    }
  }

  /// Cuts the bytes somewhere and sends them after each other.
  private func transmit(_ bytes: [UInt8], on link: HTTPLink) {
    var rest = bytes[...]
    let isWhole = world.httpRandom.coin(0.5)
    let isDribbling = world.httpRandom.coin(0.05)
    link.arrivesAt = max(link.arrivesAt, world.now)
    while !rest.isEmpty {
      let most = isWhole ? rest.count : isDribbling ? 3 : min(rest.count, 1 + rest.count / 2)
      let fragment = Array(rest.prefix(1 + world.httpRandom.below(most)))
      rest = rest.dropFirst(fragment.count)
      schedule(at: link.arrivesAt) { port in port.arrive(fragment, on: link) }
      if world.httpRandom.coin(0.7) {
        link.arrivesAt += world.httpRandom.logarithmic(
          Duration.microsecond, 20 * Duration.millisecond)
      }
    }
  }

  private func end(_ link: HTTPLink) {
    link.isFinished = true
    schedule(at: max(link.arrivesAt, world.now)) { port in
      // All that was sent before it has been read, or waits.
      link.backlog.append([])
      port.feed(link)
    }
  }

  private func hangUp(_ link: HTTPLink) {
    link.isDead = true
    links.removeAll { $0 === link }
  }

  /// The process is gone, and its sockets with it. Connections hold their handler, which is us.
  func hangUpAll() { links.removeAll() }

  private func schedule(at time: UInt64, _ body: @escaping (HTTPPort) -> Void) {
    world.queue.schedule(
      .completion(host: host, epoch: epoch) { [unowned self] in body(self) }, at: time)
  }

  // MARK: The server's socket

  private func arrive(_ fragment: [UInt8], on link: HTTPLink) {
    link.backlog.append(fragment)
    feed(link)
  }

  /// What has arrived is read while the session wants to read; an empty fragment is the end.
  private func feed(_ link: HTTPLink) {
    while !link.isDead, let fragment = link.backlog.first, link.session.wantsRead {
      link.backlog.removeFirst()
      if fragment.isEmpty {
        link.session.receiveEnd(at: now)
      } else {
        world.guarded.lend(fragment) { link.session.receive($0, at: now) }
      }
    }
  }

  /// The end of a turn, as the server has it: replies, held requests, writes. Returns whether the
  /// replica was asked something meanwhile.
  func endTurn() -> Bool {
    let delivering = replies
    replies = []
    for (token, reply) in delivering {
      guard let link = link(token) else { continue }
      link.session.reply(reply, to: token, at: now)
    }
    if mustResume {
      mustResume = false
      for link in links { link.session.resumeHeld(at: now) }
    }
    for link in links { write(link) }
    defer { hasAsked = false }
    return hasAsked
  }

  private func link(_ token: RequestToken) -> HTTPLink? {
    links.first { $0.id == token.connection && token.generation == UInt32(epoch) }
  }

  private func write(_ link: HTTPLink) {
    if link.isSlow {
      planRead(link)
    } else {
      while !link.isDead, !link.session.output.isEmpty { read(link, link.session.output.count) }
    }
    guard !link.isDead, world.failure == nil else { return }
    if link.session.closing != .no { return didClose(link) }
    if link.wasToldOfClose { fail(link, "the connection goes on after `Connection: close`") }
    feed(link)
  }

  private func planRead(_ link: HTTPLink) {
    guard !link.session.output.isEmpty, !link.isReadPlanned else { return }
    link.isReadPlanned = true
    let wait = world.httpRandom.logarithmic(
      10 * Duration.microsecond, 100 * Duration.millisecond)
    schedule(at: world.now + wait) { port in
      link.isReadPlanned = false
      guard !link.isDead, !link.session.output.isEmpty else { return }
      port.read(link, 1 + port.world.httpRandom.below(link.session.output.count))
    }
  }

  /// The server shuts its side down after its last response: whatever it has begun it has answered.
  private func didClose(_ link: HTTPLink) {
    if link.entries.contains(where: { $0.wasDispatched }) {
      fail(link, "the connection is closed on a request that the replica was asked")
    }
    if !link.parser.isEmpty { fail(link, "the connection is closed within a response") }
    for entry in link.entries {
      guard let request = entry.request, request.sequence != 0 else { continue }
      port.deliveries.append((request, .connectionLost))
    }
    hangUp(link)
  }

  private func planSweep() {
    guard !isSweepPlanned, !links.isEmpty else { return }
    isSweepPlanned = true
    let latest = world.now + Self.sweepInterval + Self.longestLateness
    schedule(at: world.now + Self.sweepInterval) { port in
      port.isSweepPlanned = false
      guard port.world.now <= latest else { return port.planSweep() }
      for link in port.links where link.session.deadline <= port.now {
        link.session.deadlinePassed(at: port.now)
      }
      port.planSweep()
    }
  }

  // MARK: The client's socket

  private func read(_ link: HTTPLink, _ count: Int) {
    link.parser.append(link.session.output.readable[..<count])
    link.session.didWrite(count, at: now)
    do throws(ResponseParser.Malformed) {
      while !link.isDead, world.failure == nil {
        switch try link.parser.next(isHead: link.entries.first?.encoded.isHead ?? false) {
        case .needMore: return
        case .interim(let status): didReadInterim(status, link)
        case .response(let response): didRead(response, link)
        }
      }
    } catch {
      fail(link, "no response: \(error.message)")
    }
  }

  private func didReadInterim(_ status: Int, _ link: HTTPLink) {
    guard status == 100, let first = link.entries.first, !first.mayHaveBody else {
      return fail(link, "\(status) that nobody waits for")
    }
    world.marks.hit(.httpContinued)
    link[0].mayHaveBody = true
    transmit(link.heldBody, on: link)
    link.heldBody = []
  }

  private func didRead(_ response: Response, _ link: HTTPLink) {
    guard !link.entries.isEmpty else {
      return fail(link, "a response, \(response.status), to nothing")
    }
    let entry = link.removeFirst()
    if !entry.mayHaveBody { link.heldBody = [] }
    if let mismatch = mismatch(response, entry) {
      return fail(
        link, "\(entry.encoded.target) gets \(response.summary): \(mismatch)")
    }
    if response.closes {
      link.isFinished = true
      link.wasToldOfClose = true
    }
    guard let request = entry.request, request.sequence != 0 else { return }
    port.deliveries.append((request, response.answer(to: request, in: world)))
  }

  private func mismatch(_ response: Response, _ entry: HTTPLink.Entry) -> String? {
    let status = response.status
    // Refused before it was whole: too slow, or a body that would be sent in vain.
    if !entry.wasDispatched, response.closes {
      if status == 408 { return nil }
      if !entry.mayHaveBody, status == 307 || status == 507 { return nil }
    }
    if entry.encoded.closes, !response.closes { return "it should say that it closes" }
    switch entry.encoded.expectation {
    case .answer(let expected):
      return status == expected && !entry.wasDispatched ? nil : "\(expected) is due"
    case .replica, .status:
      guard let reply = entry.reply else { return "the replica has said nothing yet" }
      return response.mismatch(
        with: reply, target: entry.encoded.target, isHead: entry.encoded.isHead)
    }
  }

  // MARK: RequestHandler

  var writeRefusal: Reply? { replica.writeRefusal }

  func handle(_ request: ClientRequest, token: RequestToken) -> Disposition {
    hasAsked = true
    guard let link = link(token), let position = link.position(of: token.sequence) else {
      world.fail(.http, "n\(host + 1) is asked by nobody: \(token)")
      return replica.handle(request, token: token)
    }
    if !link[position].encoded.asks(request, in: world) {
      fail(link, "\(link[position].encoded.target) is understood as \(request)")
    }
    link[position].wasDispatched = true
    let disposition = replica.handle(request, token: token)
    switch disposition {
    case .reply(let reply): note(reply, token, link[position].request)
    case .pending: pending.append((token, link[position].request?.waiting(since: world.now)))
    case .hold: world.marks.hit(.httpHeld)
    }
    return disposition
  }

  /// The replica's word: to be judged now, and to be found in the response later.
  private func note(_ reply: Reply, _ token: RequestToken, _ request: Request?) {
    if let request { port.answers.append((request, port.answer(reply))) }
    if let link = link(token), let position = link.position(of: token.sequence) {
      link[position].reply = reply
    }
  }

  // MARK: ReplySink, by way of the port

  func reply(_ reply: Reply, to token: RequestToken) {
    guard let position = pending.firstIndex(where: { $0.token == token }) else {
      return world.fail(.oneReplyPerRequest, "a reply for nobody: \(token)")
    }
    note(reply, token, pending.remove(at: position).request)
    replies.append((token, reply))
  }

  func resumeHeldRequests() { mustResume = true }
}
