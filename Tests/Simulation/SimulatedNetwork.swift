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

extension Packet {
  /// On a connection that orders it with nothing else.
  var isAlone: Bool {
    if case .connectionRefused = content { true } else { connection.purpose == .probe }
  }

  /// One bit for each kind of message; 0 for what belongs to a connection.
  var kindBit: UInt64 {
    guard case .message(let envelope, _, _) = content else { return 0 }
    switch envelope.message {
    case .voteRequest(let request): return request.phase == .preVote ? 1 : 2
    case .voteReply(let reply): return reply.phase == .preVote ? 4 : 8
    case .append: return 16
    case .appendReply: return 32
    case .heartbeat: return 64
    case .heartbeatReply: return 128
    case .timeoutNow: return 256
    case .snapshotChunk: return 512
    case .snapshotReply: return 1024
    case .removed, .diverged, .moved: return 2048
    }
  }

  /// All but heartbeats and what answers them and appends.
  static var echoedKinds: UInt64 { 4095 - 32 - 64 - 128 }

  var chunk: SnapshotChunk? {
    guard case .message(let envelope, _, _) = content,
      case .snapshotChunk(let chunk) = envelope.message
    else { return nil }
    return chunk
  }
}

/// One connection between two processes, as both ends see it.
final class Connection {
  let dialler: Int
  let acceptor: Int
  let diallerEpoch: Int
  /// The process that accepted; nil before it did.
  var acceptorEpoch: Int?
  let purpose: Hello.Purpose
  /// What was dialled, where that may be an address that the acceptor has moved away from.
  var address: String?
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
/// As a stream, a path keeps the order of what is sent on one connection and loses nothing: behind
/// a cut it waits, and arrives late or never. A probe has a connection of its own, and so has a
/// refusal. As datagrams, each message is on its own: it may be lost, doubled, or overtake others;
/// nothing in Raft depends on more.
struct SimulatedNetwork {
  struct Path {
    /// How many faults cut it right now: datagrams are lost, streams wait.
    var cuts = 0
    /// How many faults clog it right now: everything waits, and comes at once in the end.
    var clogs = 0
    /// Since when nothing has come through.
    var blockedSince: UInt64 = 0
    /// Added to the latency by a fault.
    var delay: UInt64 = 0
    /// The last arrival, by lane: messages, and snapshot chunks.
    var lastArrival: (UInt64, UInt64) = (0, 0)
    /// To be sent on when nothing blocks it any more.
    var waiting: [Packet] = []

    var isCut: Bool { cuts > 0 }
    var isBlocked: Bool { cuts > 0 || clogs > 0 }
  }

  private let hostCount: Int
  private var paths: [Path]
  var random: Random
  /// By when everything that was sent too late has come.
  fileprivate(set) var lastLateArrival: UInt64 = 0
  /// Messages kept to be sent again much later.
  var replayable: [Packet] = []
  /// By target, and by kind: the newest message of each kind that echoes.
  var newest: [[Packet?]]
  /// By target: the chunks of the newest snapshot that was sent there, from the first on.
  var newestChunks: [[Packet]]
  /// More loss and duplication than usual, in thousandths.
  var storms: [(loss: Int, duplication: Int, end: UInt64)] = []
  /// Messages of some kinds get lost or come late; loss in thousandths.
  var filters: [(kinds: UInt64, loss: Int, delay: UInt64, end: UInt64)] = []

  init(hostCount: Int, random: Random) {
    self.hostCount = hostCount
    self.random = random
    paths = Array(repeating: Path(), count: hostCount * hostCount)
    newest = Array(repeating: Array(repeating: nil, count: 12), count: hostCount)
    newestChunks = Array(repeating: [], count: hostCount)
  }

  subscript(source: Int, target: Int) -> Path {
    get { paths[source * hostCount + target] }
    _modify { yield &paths[source * hostCount + target] }
  }
}

extension World {
  /// Puts a packet on its way.
  func send(_ packet: Packet) {
    if network[packet.source, packet.target].isBlocked {
      if network[packet.source, packet.target].isCut, isLossy(packet) { return }
      network[packet.source, packet.target].waiting.append(packet)
      return
    }
    if isLossy(packet) { return sendLossy(packet) }
    var arrival = now + latency(packet)
    if packet.isAlone { return queue.schedule(.packet(packet), at: arrival) }
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
    guard isRaging else { return schedule(packet, late: 0) }
    var (loss, duplication) = (swarm.lossRate, swarm.duplicationRate)
    for storm in network.storms where storm.end > now {
      loss += Double(storm.loss) / 1000
      duplication += Double(storm.duplication) / 1000
    }
    var late: UInt64 = 0
    for filter in network.filters where filter.end > now && filter.kinds & packet.kindBit != 0 {
      loss += Double(filter.loss) / 1000
      late += network.random.time(0, filter.delay)
    }
    if loss > 0, network.random.coin(loss) { return marks.hit(.messageLost) }
    keepForReplay(packet)
    if swarm.delayRate > 0, network.random.coin(swarm.delayRate) {
      marks.hit(.messageDelayed)
      late += network.random.logarithmic(Duration.millisecond, swarm.longestDelay)
    }
    schedule(packet, late: late)
    if duplication > 0, network.random.coin(duplication) {
      marks.hit(.messageDoubled)
      schedule(packet, late: 0)
    }
  }

  /// What comes `late` lets others overtake it.
  private func schedule(_ packet: Packet, late: UInt64) {
    var arrival = now + latency(packet) + late
    if late > 0 { network.lastLateArrival = max(network.lastLateArrival, arrival) }
    if !(swarm.has(.reordering) && isRaging), late == 0 {
      arrival = max(arrival, network[packet.source, packet.target].lastArrival.0)
      network[packet.source, packet.target].lastArrival.0 = arrival
    }
    queue.schedule(.packet(packet), at: arrival)
  }

  /// Late copies, as a wire may make of any datagram.
  func echo(to target: Int, within time: UInt64) {
    for case let packet? in network.newest[target] {
      replay(packet, after: network.random.time(0, time))
    }
    // One after the other, as the receiver's disk gets done with them.
    var wait = network.random.time(0, time)
    for packet in network.newestChunks[target] {
      replay(packet, after: wait)
      wait += Duration.millisecond
    }
  }

  private func replay(_ packet: Packet, after wait: UInt64) {
    var old = packet
    old.isReplay = true
    marks.hit(.oldMessageReplayed)
    queue.schedule(.packet(old), at: now + wait)
  }

  private func keepForEcho(_ packet: Packet) {
    guard let chunk = packet.chunk else {
      network.newest[packet.target][packet.kindBit.trailingZeroBitCount] = packet
      return
    }
    let last = network.newestChunks[packet.target].last?.chunk
    if chunk.offset == 0 {
      network.newestChunks[packet.target] = [packet]
    } else if chunk.lastEntry == last?.lastEntry, chunk.offset == last?.end {
      network.newestChunks[packet.target].append(packet)
    }
  }

  private func keepForReplay(_ packet: Packet) {
    if swarm.has(.echoes), packet.kindBit & Packet.echoedKinds != 0 { keepForEcho(packet) }
    guard swarm.replayRate > 0 else { return }
    if network.random.coin(swarm.replayRate) {
      if network.replayable.count < 64 {
        network.replayable.append(packet)
      } else {
        network.replayable[network.random.below(64)] = packet
      }
    }
    guard !network.replayable.isEmpty, network.random.coin(swarm.replayRate) else { return }
    let old = network.random.pick(network.replayable)
    replay(old, after: latency(old))
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
    if network[source, target].cuts + network[source, target].clogs == 1 {
      didBlock(source, target)
    }
  }

  func mend(_ source: Int, _ target: Int) {
    guard network[source, target].cuts > 0 else { return }
    network[source, target].cuts -= 1
    if !network[source, target].isBlocked { didUnblock(source, target) }
  }

  func clog(_ source: Int, _ target: Int) {
    network[source, target].clogs += 1
    if network[source, target].cuts + network[source, target].clogs == 1 {
      didBlock(source, target)
    }
  }

  func unclog(_ source: Int, _ target: Int) {
    guard network[source, target].clogs > 0 else { return }
    network[source, target].clogs -= 1
    if !network[source, target].isBlocked { didUnblock(source, target) }
  }

  /// The receiving end hears nothing more, and gives up after five seconds.
  private func didBlock(_ source: Int, _ target: Int) {
    network[source, target].blockedSince = now
    for connection in connections(between: source, target) {
      queue.schedule(
        .silence(connection, host: target, since: now), at: now + Self.silenceLimit)
    }
  }

  private func didUnblock(_ source: Int, _ target: Int) {
    let waiting = network[source, target].waiting
    network[source, target].waiting = []
    for packet in waiting { send(packet) }
  }

  /// Undoes every fault of the wires between two hosts, both ways.
  func mendAll(_ first: Int, _ second: Int) {
    for (source, target) in [(first, second), (second, first)] {
      network[source, target].delay = 0
      guard network[source, target].isBlocked else { continue }
      network[source, target].cuts = 0
      network[source, target].clogs = 0
      didUnblock(source, target)
    }
  }

  static let silenceLimit = 5 * Duration.second

  private func connections(between first: Int, _ second: Int) -> [Connection] {
    hosts[first].process?.transport.connections(with: second) ?? []
  }

  func didFallSilent(_ connection: Connection, at host: Int, since: UInt64) {
    let source = connection.other(host)
    let path = network[source, host]
    let isDeaf = path.isBlocked && path.blockedSince == since
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
