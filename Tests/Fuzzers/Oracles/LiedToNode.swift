import RaftKV
import Simulation

/// Node 2 of `PeerFuzzer.configuration`, on a disk and a clock of its own, with nobody behind the
/// wires.
final class LiedToNode {
  final class Wires: Transport, ReplySink {
    func setPeers(_ peers: [Peer]) {}
    func send(_ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer) {}
    /// What was dialled and not answered yet.
    var inquiries: [(Result<PeerDescription, DiscoveryFailure>) -> Void] = []

    func isConnected(_ peer: NodeID) -> Bool { peer != NodeID(3) }
    func queuedBytes(_ peer: NodeID) -> Int { 0 }
    func probe(_ peer: NodeID) {}
    func hangUp(on peer: NodeID) {}
    func greetAnew() {}
    func askAgain(_ peer: NodeID) {}
    func discover(
      address: String, name: String,
      completion: @escaping (Result<PeerDescription, DiscoveryFailure>) -> Void
    ) {
      inquiries.append(completion)
    }
    func flush() {}
    func reply(_ reply: Reply, to token: RequestToken) {}
    func resumeHeldRequests() {}
  }

  private final class Clock { var now = Instant(nanoseconds: 1_000_000_000) }

  private let disk = SimulatedDisk(random: Random(seed: 1))
  private let clock = Clock()
  private let wires = Wires()
  private let replica: Replica<SimulatedDisk, Wires, Wires>
  private var watermarks: Raft.Watermarks?
  private(set) var fatal: FatalError?

  init() throws {
    let identity = Identity(cluster: ClusterID(5), node: NodeID(2), name: "n2")
    try DataDirectory.create(
      disk, identity: identity, configuration: PeerFuzzer.configuration, limits: .fuzzed,
      random: Random(seed: 1))
    let clock = clock
    let recovered = try RecoveredNode.open(
      disk, limits: .fuzzed, random: Random(seed: 1), clock: { clock.now }, logger: .silent)
    var settings = ReplicaSettings(
      name: "n2", raftAddress: "h2:1", httpAddress: "h2:2", version: "fuzzed")
    settings.snapshotEntries = 4
    settings.snapshotBytes = 0
    settings.keptTailBytes = 64
    settings.snapshotSliceBytes = 4096
    settings.stateHashInterval = 2
    settings.maximumValueSize = 256
    replica = Replica(
      settings: settings, recovered: recovered, logger: .silent, seed: 1, clock: { clock.now },
      wallClock: { 0 })
    replica.transport = wires
    replica.replies = wires
    replica.onFatal = { [unowned self] in fatal = $0 }
    replica.endTurn()
    for peer in [1, 3] as [UInt64] { replica.didConnect(NodeID(peer), hello: Self.hello(of: peer)) }
  }

  deinit {
    // What is under way holds the log, which holds the disk.
    disk.crash()
    wires.inquiries = []
    replica.transport = nil
    replica.replies = nil
  }

  private static func hello(of peer: UInt64) -> Hello {
    var identity = LocalIdentity.other
    identity.id = NodeID(peer)
    identity.name = "n\(peer)"
    identity.raftAddress = "h\(peer):1"
    identity.httpAddress = "h\(peer):2"
    return Hello(from: identity, to: .init(name: "n2", id: NodeID(2)), purpose: .messages)
  }

  // MARK: One step of the script

  func step(_ script: inout Script) throws {
    let operation = script.byte()
    let peer: UInt64 = operation & 1 == 0 ? 1 : 3
    switch operation % 8 {
    case 0...3: try hear(&script, from: operation % 8 == 3 ? 9 : peer)
    case 4: wait(&script)
    case 5: for _ in 0..<script.byte() where !disk.step() { break }
    case 6: ask(&script)
    default: disturb(&script)
    }
    replica.endTurn()
    try judge()
  }

  private func judge() throws {
    if let fatal {
      let isMeant = fatal.exitCode == .unknownCommand || fatal.exitCode == .diverged
      return try require(isMeant, "it ended: \(fatal.message)")
    }
    if let sentence = replica.raft.brokenInvariant(since: watermarks) { throw BrokenRule(sentence) }
    try require(replica.appliedIndex <= replica.raft.commitIndex, "applied before it is committed")
    watermarks = replica.raft.watermarks
  }

  private func wait(_ script: inout Script) {
    clock.now = clock.now + .milliseconds(Int(script.byte()) * 5)
    // The timer fires, the loop polls once more, and only then is it judged.
    for _ in 0..<3 {
      replica.timerFired()
      replica.endTurn()
    }
  }

  private func ask(_ script: inout Script) {
    let token = RequestToken(connection: 1, generation: 1, sequence: 1)
    let (kind, key) = (script.byte(), script.run(limit: 20))
    guard !key.isEmpty else { return }
    key.withUnsafeBytes { key in
      switch kind % 5 {
      case 0: _ = replica.handle(.put(key: key, value: key), token: token)
      case 1: _ = replica.handle(.delete(key: key), token: token)
      case 2: _ = replica.handle(.get(key: key, level: .consistent), token: token)
      case 3: _ = replica.handle(.remove(name: "n3", force: true), token: token)
      default: _ = replica.handle(.status, token: token)
      }
    }
  }

  private func disturb(_ script: inout Script) {
    let kind = script.byte()
    let peer = NodeID(kind & 1 == 0 ? 1 : 3)
    if kind & 128 != 0, !wires.inquiries.isEmpty {
      let found = PeerDescription(Self.hello(of: peer.rawValue))
      return wires.inquiries.removeFirst()(kind & 64 == 0 ? .success(found) : .failure(.timedOut))
    }
    switch kind / 2 % 4 {
    case 0: replica.didDisconnect(peer)
    case 1: replica.didConnect(peer, hello: Self.hello(of: peer.rawValue))
    case 2: replica.didProbe(peer, script.flag() ? .refused : .undecided)
    default: replica.didReceivePartialFrame(from: peer)
    }
  }

  // MARK: Messages

  /// Encoded and decoded on its way, so that only what passes the codec is heard.
  private func hear(_ script: inout Script, from peer: UInt64) throws {
    let kind = script.byte()
    let term = term(&script)
    var payload: [UInt8] = []
    let message = message(kind, &script, &payload)
    let envelope = Envelope(from: NodeID(peer), to: NodeID(2), term: term, message: message)
    var report: StateHashReport?
    if kind & 64 != 0 {
      report = StateHashReport(
        version: 1, index: index(&script), hash: StateHash(high: script.number(), low: 0))
    }
    var buffer = ByteBuffer()
    payload.withUnsafeBytes { buffer.appendFrame(envelope, report: report, payload: $0) }
    var input = buffer.readable
    var reader = FrameReader()
    do throws(FrameError) {
      guard let raw = try reader.next(from: &input), let frame = try FrameCodec.message(in: raw)
      else { return }
      replica.didReceive(frame.envelope, report: frame.report, payload: frame.payload)
    } catch { return }  // The connection would be closed.
  }

  /// Around ours, or small, or huge.
  private func term(_ script: inout Script) -> Term {
    let byte = script.byte()
    guard (128...252).contains(byte) else {
      return Term(byte < 128 ? UInt64(byte) : FrameCodec.maximumCounter)
    }
    return Term(UInt64(max(0, Int(replica.raft.currentTerm.rawValue) + Int(byte) - 192)))
  }

  private func index(_ script: inout Script) -> LogIndex {
    let byte = script.byte()
    guard (128...252).contains(byte) else {
      return LogIndex(byte < 128 ? UInt64(byte) : FrameCodec.maximumCounter)
    }
    return LogIndex(UInt64(max(0, Int(replica.raft.lastIndex.rawValue) + Int(byte) - 190)))
  }

  private func entry(_ script: inout Script) -> EntryID {
    let index = index(&script)
    // Mostly one that is there.
    if script.flag(), let term = replica.raft.outline.term(at: index) {
      return EntryID(index: index, term: term)
    }
    return EntryID(index: index, term: term(&script))
  }

  private func message(
    _ kind: UInt8, _ script: inout Script, _ payload: inout [UInt8]
  ) -> Message {
    let phase = kind & 32 == 0 ? VoteRequest.Phase.preVote : .vote
    switch kind % 32 == 31 ? 11 : kind % 32 % 11 {
    case 0:
      return .voteRequest(
        VoteRequest(phase: phase, lastEntry: entry(&script), isTransfer: script.flag()))
    case 1: return .voteReply(VoteReply(phase: script.flag() ? .preVote : .vote, granted: true))
    case 2: return append(&script, &payload)
    case 3:
      let outcomes: [AppendReply.Outcome] = [
        .matched(index(&script)), .full(previous: index(&script)),
        .conflict(previous: index(&script), hint: entry(&script)),
      ]
      return .appendReply(
        AppendReply(outcome: outcomes[Int(script.byte() % 3)], round: script.number()))
    case 4: return .heartbeat(Heartbeat(commit: index(&script), round: script.number()))
    case 5: return .heartbeatReply(HeartbeatReply(round: script.number(), isFull: script.flag()))
    case 6: return .timeoutNow
    case 7:
      let (last, offset) = (entry(&script), script.number())
      payload = script.run(limit: 4096)
      let end = offset + UInt64(payload.count)
      return .snapshotChunk(
        SnapshotChunk(
          lastEntry: last, offset: offset, size: UInt32(payload.count),
          total: end + (script.flag() ? script.number() : 0), round: script.number()))
    case 8:
      return .snapshotReply(
        SnapshotReply(lastEntry: entry(&script), offset: script.number(), round: script.number()))
    case 9: return .removed(by: index(&script))
    case 10: return .diverged(at: index(&script))
    default:
      return .moved(
        MoveReport(
          member: NodeID(UInt64(script.byte() % 4 + 1)), memberSince: index(&script),
          raftAddress: "h\(script.byte() % 4):1", httpAddress: "h3:2"))
    }
  }

  private func append(_ script: inout Script, _ payload: inout [UInt8]) -> Message {
    let previous = entry(&script)
    let (commit, round) = (index(&script), script.number())
    var records = ByteBuffer()
    var headers: [EntryHeader] = []
    var last = previous
    for _ in 0..<(script.byte() % 4) where last.index.rawValue < FrameCodec.maximumCounter {
      let choice = script.byte()
      let kind = EntryKind(rawValue: choice % 4 + 1)!
      last = EntryID(
        index: last.index.next, term: choice & 128 == 0 ? last.term : term(&script))
      let bytes = Self.content(kind, choice, &script)
      bytes.withUnsafeBytes { records.append(recordKind: kind.rawValue, id: last, payload: $0) }
      headers.append(EntryHeader(term: last.term, kind: kind, size: UInt32(bytes.count)))
    }
    payload = Array(records.readable)
    return .append(
      AppendRequest(previous: previous, leaderCommit: commit, round: round, entries: headers))
  }

  private static func content(
    _ kind: EntryKind, _ choice: UInt8, _ script: inout Script
  ) -> [UInt8] {
    if choice & 64 != 0 { return script.run(limit: 300) }
    var buffer = ByteBuffer()
    switch kind {
    case .noop: break
    case .configuration:
      var members = PeerFuzzer.configuration.members
      let change = script.byte()
      if change & 1 != 0 { members.removeAll { $0.id == NodeID(UInt64(change >> 1 & 3)) } }
      if change & 16 != 0, !members.isEmpty { members[0].id = NodeID(UInt64(change >> 5)) }
      if change & 8 != 0, !members.isEmpty { members[members.count - 1].role = .learner }
      Configuration(members: members).encode(into: &buffer)
    case .command, .reclaim:
      let key: [UInt8] = [script.byte()]
      key.withUnsafeBytes { key in
        (kind == .command
          ? Command.put(key: key, value: key, clock: 1) : .delete(key: key, clock: 1))
          .encode(into: &buffer)
      }
    }
    return Array(buffer.readable)
  }
}
