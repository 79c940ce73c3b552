import RaftKV

/// The seam's other side in a simulation: connections come and go as in `PeerTransport`, hellos are
/// judged by the same rules, and messages travel as values instead of bytes.
package final class SimulatedTransport: Transport {
  /// What a process holds with one other node.
  final class Link {
    let id: NodeID
    var peer: Peer?
    var connection: Connection?
    var attempt: Connection?
    var nextDial: UInt64 = 0
    var backoff = SimulatedTransport.firstBackoff
    /// What the process said that we were connected to last.
    var lastHello: Hello?
    var isProbing = false

    init(_ id: NodeID) { self.id = id }
  }

  static let firstBackoff = 50 * Duration.millisecond
  static let longestBackoff = 900 * Duration.millisecond
  /// How long the larger id waits for the smaller one to dial.
  static let patience = 200 * Duration.millisecond
  static let handshakeTime = 3 * Duration.second

  private unowned(unsafe) let world: World
  let host: Int
  let epoch: Int
  unowned(unsafe) var replica: Process.Node!
  private var links: [Link] = []

  init(_ world: World, host: Int, epoch: Int) {
    self.world = world
    self.host = host
    self.epoch = epoch
  }

  private var local: LocalIdentity { replica.localIdentity }

  // MARK: Transport

  /// Nobody lies here: what cannot be said was said because of a bug.
  package func hangUp(on peer: NodeID) {
    world.fail(.contradiction, "\(replica.localIdentity.name) hears from \(peer) what cannot be")
  }

  package func greetAnew() {
    world.marks.hit(.greetedAnew)
    closeSoon { [unowned self] in openConnections }
  }

  package func askAgain(_ peer: NodeID) {
    closeSoon { [unowned self] in links.filter { $0.id == peer }.compactMap(\.connection) }
  }

  private func closeSoon(_ connections: @escaping () -> [Connection]) {
    let close = { [unowned self] in
      for connection in connections() { drop(connection) }
    }
    world.queue.schedule(.completion(host: host, epoch: epoch, close), at: world.now)
  }

  package func setPeers(_ peers: [Peer]) {
    for link in links where !peers.contains(where: { $0.id == link.id }) { link.peer = nil }
    for peer in peers {
      let link = link(to: peer.id)
      let isNews = link.peer?.raftAddress != peer.raftAddress
      link.peer = peer
      guard isNews else { continue }
      link.backoff = Self.firstBackoff
      plan(link, after: local.id < peer.id ? 0 : Self.patience)
    }
  }

  package func send(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {
    guard let connection = links.first(where: { $0.id == envelope.to })?.connection else { return }
    var envelope = envelope
    if case .append(var request) = envelope.message, request.count > 0 {
      request.entries = Self.headers(payload)
      precondition(request.entries.count == request.count, "an append carries what it counts")
      envelope.message = .append(request)
    }
    world.willSend(envelope, from: host)
    send(.message(envelope, report, [UInt8](payload)), on: connection)
  }

  private static func headers(_ payload: UnsafeRawBufferPointer) -> [EntryHeader] {
    var reader = ByteReader(payload)
    var headers: [EntryHeader] = []
    while let record = reader.readEntry() {
      let configuration =
        record.kind == .configuration ? Configuration(decoding: record.payload) : nil
      headers.append(
        EntryHeader(
          term: record.id.term, kind: record.kind, size: UInt32(record.payload.count),
          configuration: configuration))
    }
    return headers
  }

  package func isConnected(_ peer: NodeID) -> Bool {
    links.contains { $0.id == peer && $0.connection != nil }
  }

  package func queuedBytes(_ peer: NodeID) -> Int { 0 }
  package func flush() {}

  package func probe(_ peer: NodeID) {
    guard let link = links.first(where: { $0.id == peer }), let target = link.peer,
      let process = link.lastHello, target.raftAddress == process.raftAddress, !link.isProbing
    else { return }
    link.isProbing = true
    inquire(target.raftAddress, of: Self.party(target)) { [unowned self, unowned link] answer in
      link.isProbing = false
      func outcome(_ answer: UInt64?) -> ProbeOutcome {
        ProbeOutcome(of: process, latest: link.lastHello, answer: answer)
      }
      switch answer {
      case .connectionRefused: replica.didProbe(peer, outcome(nil))
      case .welcome(let hello): replica.didProbe(peer, outcome(hello.nonce))
      case .refused(let refusal): replica.didProbe(peer, outcome(refusal.nonce))
      case .timedOut: replica.didProbe(peer, .undecided)
      }
    }
  }

  package func discover(
    address: String, name: String,
    completion: @escaping (Result<PeerDescription, DiscoveryFailure>) -> Void
  ) {
    inquire(address, of: Hello.Party(name: name)) { outcome in
      switch outcome {
      case .welcome(let hello): completion(.success(PeerDescription(hello)))
      case .refused(let refusal): completion(.failure(.refused(refusal)))
      case .connectionRefused: completion(.failure(.unreachable("connection refused")))
      case .timedOut: completion(.failure(.timedOut))
      }
    }
  }

  private func inquire(
    _ address: String, of target: Hello.Party, _ completion: @escaping (InquiryOutcome) -> Void
  ) {
    let acceptor = world.host(ofRaftAddress: address) ?? host
    let connection = Connection(
      dialler: host, epoch: epoch, acceptor: acceptor, purpose: .probe, expected: target)
    connection.address = address
    connection.inquiry = completion
    world.queue.schedule(
      .handshakeTimeout(connection), at: world.now + Self.handshakeTime)
    // An address where nobody ever listened: the answer is that there is none.
    guard acceptor != host else { return }
    send(.hello(Hello(from: local, to: target, purpose: .probe)), on: connection)
  }

  // MARK: Links

  private static func party(_ peer: Peer) -> Hello.Party {
    Hello.Party(name: peer.name, id: peer.id, memberSince: peer.memberSince)
  }

  /// Linear: a handful.
  private func link(to id: NodeID) -> Link {
    if let link = links.first(where: { $0.id == id }) { return link }
    let link = Link(id)
    links.append(link)
    return link
  }

  func connections(with other: Int) -> [Connection] {
    links.compactMap { link in
      link.connection.flatMap { $0.other(host) == other ? $0 : nil }
    }
  }

  var openConnections: [Connection] { links.compactMap(\.connection) }

  private func plan(_ link: Link, after wait: UInt64) {
    link.nextDial = world.now + wait
    world.queue.schedule(.dial(host: host, epoch: epoch, link.id), at: link.nextDial)
  }

  private func nextBackoff(_ link: Link) -> UInt64 {
    let wait = link.backoff + world.network.random.next() % (link.backoff / 10)
    link.backoff = min(link.backoff * 2, Self.longestBackoff)
    return wait
  }

  // MARK: Dialling

  func dialIfDue(_ id: NodeID) {
    guard let link = links.first(where: { $0.id == id }), let peer = link.peer,
      link.connection == nil, link.attempt == nil, world.now >= link.nextDial
    else { return }
    plan(link, after: nextBackoff(link))
    guard let acceptor = world.host(atRaftAddress: peer.raftAddress), acceptor != host else {
      return
    }
    let party = Self.party(peer)
    let connection = Connection(
      dialler: host, epoch: epoch, acceptor: acceptor, purpose: .messages, expected: party)
    link.attempt = connection
    world.queue.schedule(
      .handshakeTimeout(connection), at: world.now + Self.handshakeTime)
    send(.hello(Hello(from: local, to: party, purpose: .messages)), on: connection)
  }

  private func send(_ content: Packet.Content, on connection: Connection) {
    world.send(
      Packet(
        source: host, target: connection.other(host), connection: connection, content: content))
  }

  /// Nobody answered in time.
  func expire(_ connection: Connection) {
    if let inquiry = connection.inquiry {
      connection.inquiry = nil
      connection.isOver = true
      inquiry(.timedOut)
    } else if !connection.isOpen(at: host) {
      giveUp(connection)
    }
  }

  private func giveUp(_ connection: Connection) {
    connection.isOver = true
    guard let link = links.first(where: { $0.attempt === connection }) else { return }
    link.attempt = nil
    plan(link, after: nextBackoff(link))
  }

  // MARK: Hearing

  func receive(_ packet: Packet) {
    let connection = packet.connection
    switch packet.content {
    case .message(let envelope, let report, let bytes):
      guard packet.isReplay || links.contains(where: { $0.connection === connection }) else {
        return
      }
      world.willReceive(envelope, at: host)
      bytes.withUnsafeBytes { replica.didReceive(envelope, report: report, payload: $0) }
    case .hello(let hello): judge(hello, on: connection)
    case .welcome(let hello): judge(welcome: hello, on: connection)
    case .refusal(let refusal): didMeet(refusal, on: connection)
    case .reset: didReset(connection, isRefused: false)
    case .connectionRefused: didReset(connection, isRefused: true)
    }
  }

  private func judge(_ hello: Hello, on connection: Connection) {
    let local = local
    switch Handshake.judge(hello, local: local, configuration: replica.configuration) {
    case .accept: admit(connection, hello)
    case .refuse(let refusal):
      send(.refusal(refusal), on: connection)
      replica.didRefuse(hello, refusal)
    case .adopt(let cluster):
      guard !connection.hasAskedToAdopt else { return send(.reset, on: connection) }
      connection.hasAskedToAdopt = true
      replica.adopt(cluster) { [weak self] isDone in
        guard let self else { return }
        if isDone { judge(hello, on: connection) } else { send(.reset, on: connection) }
      }
    }
  }

  private func admit(_ connection: Connection, _ hello: Hello) {
    let local = local
    if hello.purpose == .messages, isRedundant(dialledBy: hello.sender.id, hello) {
      let refusal = Refusal(.duplicateConnection, "another connection exists", by: local)
      return send(.refusal(refusal), on: connection)
    }
    var target = hello.sender
    target.memberSince = replica.configuration.member(target.id)?.memberSince ?? .zero
    connection.acceptorEpoch = epoch
    send(.welcome(Hello(from: local, to: target, purpose: hello.purpose)), on: connection)
    if hello.purpose != .probe { install(connection, hello) }
  }

  /// Between the same two processes the connection that the smaller id dialled stays.
  private func isRedundant(dialledBy dialler: NodeID, _ hello: Hello) -> Bool {
    guard let existing = links.first(where: { $0.id == hello.sender.id })?.connection,
      existing.nonce(at: host) == hello.nonce
    else { return false }
    let local = local.id
    let smaller = min(local, hello.sender.id)
    let existingDialler = existing.dialler == host ? local : hello.sender.id
    return existingDialler == smaller && dialler != smaller
  }

  private func judge(welcome hello: Hello, on connection: Connection) {
    guard !connection.isOver else { return send(.reset, on: connection) }
    if let inquiry = connection.inquiry {
      connection.inquiry = nil
      connection.isOver = true
      return inquiry(.welcome(hello))
    }
    let verdict = Handshake.judge(welcome: hello, expected: connection.expected, local: local)
    guard case .accept = verdict else {
      if case .refuse(let refusal) = verdict { didMeet(refusal, on: connection) }
      return send(.reset, on: connection)
    }
    guard let link = links.first(where: { $0.attempt === connection }) else {
      return send(.reset, on: connection)
    }
    link.attempt = nil
    if isRedundant(dialledBy: local.id, hello) { return send(.reset, on: connection) }
    install(connection, hello)
  }

  private func install(_ connection: Connection, _ hello: Hello) {
    let link = link(to: hello.sender.id)
    if let older = link.connection { drop(older) }
    connection.open(at: host, nonce: hello.nonce)
    link.connection = connection
    link.lastHello = hello
    link.backoff = Self.firstBackoff
    replica.didConnect(link.id, hello: hello)
  }

  private func didMeet(_ refusal: Refusal, on connection: Connection) {
    if let inquiry = connection.inquiry {
      connection.inquiry = nil
      connection.isOver = true
      return inquiry(.refused(refusal))
    }
    giveUp(connection)
    if refusal.code != .duplicateConnection {
      replica.didMeetRefusal(from: connection.expected.id, refusal)
    }
  }

  private func didReset(_ connection: Connection, isRefused: Bool) {
    // What the dialler waits for is none of the acceptor's business.
    let isDialler = connection.dialler == host && connection.diallerEpoch == epoch
    if isDialler, let inquiry = connection.inquiry {
      connection.inquiry = nil
      connection.isOver = true
      return inquiry(isRefused ? .connectionRefused : .timedOut)
    }
    if links.contains(where: { $0.connection === connection }) {
      drop(connection, tellingOther: false)
    } else if isDialler {
      giveUp(connection)
    }
  }

  // MARK: Going

  func drop(_ connection: Connection, tellingOther: Bool = true) {
    connection.close(at: host)
    if tellingOther { send(.reset, on: connection) }
    guard let link = links.first(where: { $0.connection === connection }) else { return }
    link.connection = nil
    let wait = nextBackoff(link)
    plan(link, after: local.id < link.id ? wait : max(wait, Self.patience))
    replica.didDisconnect(link.id)
  }
}
