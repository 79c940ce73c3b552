import RaftKV

/// What travels between two processes.
struct Packet {
  enum Content {
    case hello(Hello)
    case welcome(Hello)
    case refusal(Refusal)
    /// The other end is gone: closed or reset.
    case reset
    /// Nobody listens there.
    case connectionRefused
    case message(Envelope, StateHashReport?, [UInt8])
  }

  var source: Int
  var target: Int
  var connection: Connection
  var content: Content
  /// A packet of long ago, delivered whatever became of its connection.
  var isReplay = false
}

/// One connection between two processes, as both ends see it.
final class Connection {
  let dialler: Int
  let acceptor: Int
  let diallerEpoch: Int
  /// The process that accepted; nil before it did.
  var acceptorEpoch: Int?
  let purpose: Hello.Purpose
  /// Told what an inquiry finds out; nil once it is over, or for a connection that is none.
  var inquiry: ((InquiryOutcome) -> Void)?
  var expected: Hello.Party
  /// Established at the dialler's and at the acceptor's end.
  var isOpen = (atDialler: false, atAcceptor: false)
  /// The dialler waits for no answer any more.
  var isOver = false
  var remoteNonce = (atDialler: UInt64(0), atAcceptor: UInt64(0))
  var hasAskedToAdopt = false

  init(
    dialler: Int, epoch: Int, acceptor: Int, purpose: Hello.Purpose, expected: Hello.Party
  ) {
    self.dialler = dialler
    self.acceptor = acceptor
    diallerEpoch = epoch
    self.purpose = purpose
    self.expected = expected
  }

  func other(_ host: Int) -> Int { host == dialler ? acceptor : dialler }
  func isOpen(at host: Int) -> Bool { host == dialler ? isOpen.atDialler : isOpen.atAcceptor }
  func nonce(at host: Int) -> UInt64 {
    host == dialler ? remoteNonce.atDialler : remoteNonce.atAcceptor
  }
  func open(at host: Int, nonce: UInt64) {
    if host == dialler {
      isOpen.atDialler = true
      remoteNonce.atDialler = nonce
    } else {
      isOpen.atAcceptor = true
      remoteNonce.atAcceptor = nonce
    }
  }
  func close(at host: Int) {
    if host == dialler { isOpen.atDialler = false } else { isOpen.atAcceptor = false }
  }
}

enum InquiryOutcome {
  case welcome(Hello)
  case refused(Refusal)
  case connectionRefused
  case timedOut
}

/// The wires: one path per direction between two hosts.
///
/// As a stream, a path keeps the order of what is sent on one connection and loses nothing: behind a cut it
/// waits, and arrives late or never. As datagrams, each message is on its own: it may be lost, doubled, or
/// overtake others; nothing in Raft depends on more.
struct SimulatedNetwork {
  struct Path {
    /// How many faults cut it right now.
    var cuts = 0
    var cutSince: UInt64 = 0
    /// Nothing arrives before.
    var cloggedUntil: UInt64 = 0
    /// Added to the latency by a fault.
    var delay: UInt64 = 0
    /// The last arrival, by lane: messages, and snapshot chunks.
    var lastArrival: (UInt64, UInt64) = (0, 0)
    /// Sent into the cut, to be sent again after it.
    var waiting: [Packet] = []

    var isCut: Bool { cuts > 0 }
  }

  private let hostCount: Int
  private var paths: [Path]
  var random: Random
  /// Messages kept to be sent again much later.
  var replayable: [Packet] = []

  init(hostCount: Int, random: Random) {
    self.hostCount = hostCount
    self.random = random
    paths = Array(repeating: Path(), count: hostCount * hostCount)
  }

  subscript(source: Int, target: Int) -> Path {
    get { paths[source * hostCount + target] }
    _modify { yield &paths[source * hostCount + target] }
  }
}

extension World {
  /// Puts a packet on its way.
  func send(_ packet: Packet) {
    if network[packet.source, packet.target].isCut {
      if isLossy(packet) { return }
      network[packet.source, packet.target].waiting.append(packet)
      return
    }
    if isLossy(packet) { return sendLossy(packet) }
    var arrival = now + latency(packet)
    arrival = max(arrival, network[packet.source, packet.target].cloggedUntil)
    if isSnapshotLane(packet) {
      arrival = max(arrival, network[packet.source, packet.target].lastArrival.1)
      network[packet.source, packet.target].lastArrival.1 = arrival
    } else {
      arrival = max(arrival, network[packet.source, packet.target].lastArrival.0)
      network[packet.source, packet.target].lastArrival.0 = arrival
    }
    queue.schedule(.packet(packet), at: arrival)
  }

  private func sendLossy(_ packet: Packet) {
    if swarm.lossRate > 0, network.random.coin(swarm.lossRate) { return marks.hit(.messageLost) }
    keepForReplay(packet)
    schedule(packet)
    if swarm.duplicationRate > 0, network.random.coin(swarm.duplicationRate) {
      marks.hit(.messageDoubled)
      schedule(packet)
    }
  }

  private func schedule(_ packet: Packet) {
    var arrival = max(now + latency(packet), network[packet.source, packet.target].cloggedUntil)
    if !swarm.has(.reordering) {
      arrival = max(arrival, network[packet.source, packet.target].lastArrival.0)
      network[packet.source, packet.target].lastArrival.0 = arrival
    }
    queue.schedule(.packet(packet), at: arrival)
  }

  private func keepForReplay(_ packet: Packet) {
    guard swarm.replayRate > 0 else { return }
    if network.random.coin(swarm.replayRate) {
      if network.replayable.count < 64 {
        network.replayable.append(packet)
      } else {
        network.replayable[network.random.below(64)] = packet
      }
    }
    guard !network.replayable.isEmpty, network.random.coin(swarm.replayRate) else { return }
    var old = network.random.pick(network.replayable)
    old.isReplay = true
    marks.hit(.oldMessageReplayed)
    queue.schedule(.packet(old), at: now + latency(old))
  }

  private func isLossy(_ packet: Packet) -> Bool {
    guard swarm.has(.datagrams), case .message = packet.content else { return false }
    return true
  }

  private func isSnapshotLane(_ packet: Packet) -> Bool {
    guard case .message(let envelope, _, _) = packet.content else { return false }
    switch envelope.message {
    case .snapshotChunk, .snapshotReply: return true
    default: return false
    }
  }

  private func latency(_ packet: Packet) -> UInt64 {
    let mean = swarm.latency.mean
    // Roughly exponential: the smaller of two draws, now and then eight times as long.
    let draw = min(network.random.next() % (2 * mean), network.random.next() % (2 * mean))
    let tail = network.random.next() % 32 == 0 ? draw * 8 : draw
    return swarm.latency.shortest + tail + network[packet.source, packet.target].delay
  }

  // MARK: Cuts

  func cut(_ source: Int, _ target: Int) {
    network[source, target].cuts += 1
    guard network[source, target].cuts == 1 else { return }
    network[source, target].cutSince = now
    // The receiving end hears nothing more, and gives up after five seconds.
    for connection in connections(between: source, target) {
      queue.schedule(
        .silence(connection, host: target, since: now), at: now + Self.silenceLimit)
    }
  }

  func mend(_ source: Int, _ target: Int) {
    guard network[source, target].isCut else { return }
    network[source, target].cuts -= 1
    guard !network[source, target].isCut else { return }
    let waiting = network[source, target].waiting
    network[source, target].waiting = []
    for packet in waiting { send(packet) }
  }

  /// Undoes every fault of the wires between two hosts, both ways.
  func mendAll(_ first: Int, _ second: Int) {
    for (source, target) in [(first, second), (second, first)] {
      network[source, target].cloggedUntil = 0
      network[source, target].delay = 0
      network[source, target].cuts = min(network[source, target].cuts, 1)
      mend(source, target)
    }
  }

  static let silenceLimit = 5 * Duration.second

  private func connections(between first: Int, _ second: Int) -> [Connection] {
    hosts[first].process?.transport.connections(with: second) ?? []
  }

  func didFallSilent(_ connection: Connection, at host: Int, since: UInt64) {
    let source = connection.other(host)
    let path = network[source, host]
    let isDeaf = path.isCut && path.cutSince == since
    let isStill = hosts[source].silentSince == since
    guard isDeaf || isStill, connection.isOpen(at: host) else { return }
    // Whoever did not run heard nothing, and holds it against nobody.
    guard !hosts[host].isPaused else {
      return queue.schedule(
        .silence(connection, host: host, since: since), at: now + Self.silenceLimit)
    }
    hosts[host].process?.transport.drop(connection)
  }
}
