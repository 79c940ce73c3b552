import Simulation

@testable import RaftKV

/// One replica without a world: a test is its disk's clockwork, its network and its clients. The
/// node is number 1; other members are numbers too.
final class ReplicaBench {
  typealias Node = Replica<SimulatedDisk, Wire, Clients>

  /// What the replica says to others, and whom it asks after.
  final class Wire: Transport {
    struct Inquiry {
      var address: String
      var name: String
      var completion: (Result<PeerDescription, DiscoveryFailure>) -> Void
    }
    var sent: [Envelope] = []
    var inquiries: [Inquiry] = []
    var peers: [RaftKV.Peer] = []
    var probed: [NodeID] = []
    var greetings = 0
    var askedAgain: [NodeID] = []
    /// Who is not connected.
    var away: Set<NodeID> = []

    func setPeers(_ peers: [RaftKV.Peer]) { self.peers = peers }
    func send(_ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer) {
      sent.append(envelope)
    }
    func isConnected(_ peer: NodeID) -> Bool { !away.contains(peer) }
    func queuedBytes(_ peer: NodeID) -> Int { 0 }
    func probe(_ peer: NodeID) { probed.append(peer) }
    func hangUp(on peer: NodeID) {}
    func greetAnew() { greetings += 1 }
    func askAgain(_ peer: NodeID) { askedAgain.append(peer) }
    func discover(
      address: String, name: String,
      completion: @escaping (Result<PeerDescription, DiscoveryFailure>) -> Void
    ) {
      inquiries.append(Inquiry(address: address, name: name, completion: completion))
    }
    func flush() {}
  }

  final class Clients: ReplySink {
    var replies: [UInt32: Reply] = [:]
    func reply(_ reply: Reply, to token: RequestToken) { replies[token.sequence] = reply }
    func resumeHeldRequests() {}
  }

  let disk = SimulatedDisk(random: Random(seed: 1))
  let wire = Wire()
  let clients = Clients()
  private(set) var time = Instant(nanoseconds: 1_000_000_000)
  private(set) var node: Node!
  private var lastSequence: UInt32 = 0
  /// While true nothing that the disk is asked for is done.
  var isDiskHeld = false
  var fatal: FatalError?

  /// `voters` besides ourselves, `learners`, and how many entries the log keeps in memory.
  init(
    voters: ClosedRange<Int>? = nil, learners: ClosedRange<Int>? = nil,
    limits: LogLimits = LogLimits(), ballast: Int = 0,
    _ change: (inout ReplicaSettings) -> Void = { _ in }
  ) throws {
    var members = [Self.member(1, .voter)]
    members += (voters.map(Array.init) ?? []).map { Self.member($0, .voter) }
    members += (learners.map(Array.init) ?? []).map { Self.member($0, .learner) }
    let identity = Identity(cluster: ClusterID(5), node: NodeID(1), name: "node1")
    var limits = limits
    limits.ballastSize = ballast
    limits.segmentSize = min(limits.segmentSize, 9 << 20)
    try DataDirectory.create(
      disk, identity: identity, configuration: Configuration(members: members), limits: limits,
      random: Random(seed: 2))
    var settings = ReplicaSettings(
      name: "node1", raftAddress: "h1:1", httpAddress: "h1:2", version: "test")
    change(&settings)
    let recovered = try RecoveredNode.open(
      disk, limits: limits, random: Random(seed: 3), clock: { [unowned self] in time },
      logger: .silent)
    node = Node(
      settings: settings, recovered: recovered, logger: .silent, seed: 4,
      clock: { [unowned self] in time }, wallClock: { 0 })
    node.transport = wire
    node.replies = clients
    node.onFatal = { [unowned self] in fatal = $0 }
    turn()
  }

  static func member(_ number: Int, _ role: Configuration.Role) -> Configuration.Member {
    Configuration.Member(
      id: NodeID(UInt64(number)), name: "node\(number)", memberSince: LogIndex(1),
      raftAddress: "h\(number):1", httpAddress: "h\(number):2", role: role)
  }

  // MARK: Time and turns

  /// Ends the turn, and those that the disk's work brings, until all is quiet.
  func turn() {
    node.endTurn()
    while !isDiskHeld, disk.step() { node.endTurn() }
    for _ in 0..<4 { node.endTurn() }
  }

  func pass(_ interval: Interval) {
    time = time + interval
    wake()
  }

  /// To the moment when the node wants to be woken.
  func passToDeadline() {
    time = max(time, node.nextDeadline)
    wake()
  }

  private func wake() {
    for _ in 0..<2 {
      node.timerFired()
      node.endTurn()
    }
    turn()
  }

  // MARK: Other members

  func connect(_ number: Int, _ change: (inout LocalIdentity) -> Void = { _ in }) {
    var local = LocalIdentity(
      cluster: ClusterID(5), name: "node\(number)", id: NodeID(UInt64(number)),
      memberSince: LogIndex(1), nonce: UInt64(number) + 100, raftAddress: "h\(number):1",
      httpAddress: "h\(number):2")
    change(&local)
    let target = Hello.Party(name: "node1", id: NodeID(1), memberSince: LogIndex(1))
    node.didConnect(local.id, hello: Hello(from: local, to: target, purpose: .messages))
    turn()
  }

  /// What answers where an address was dialled.
  func description(
    _ id: UInt64, _ name: String, since: UInt64 = 0, raft: String = "x:1", http: String = "x:2"
  ) -> PeerDescription {
    let local = LocalIdentity(
      cluster: .none, name: name, id: NodeID(id), memberSince: LogIndex(since), nonce: 9,
      raftAddress: raft, httpAddress: http)
    return PeerDescription(Hello(from: local, to: Hello.Party(name: "node1"), purpose: .probe))
  }

  /// A message from another member, in the present term or another.
  func hear(
    _ message: Message, from number: Int, term: Term? = nil,
    payload: borrowing ByteBuffer = ByteBuffer()
  ) {
    let envelope = Envelope(
      from: NodeID(UInt64(number)), to: NodeID(1), term: term ?? node.raft.currentTerm,
      message: message)
    node.didReceive(envelope, report: nil, payload: payload.readable)
    turn()
  }

  /// A leader sends a configuration that differs like this, after our last entry or another; its
  /// commit index is before that, or has it.
  func hearConfiguration(
    from leader: Int = 2, in term: Term = Term(2), of entryTerm: Term = Term(2),
    after last: EntryID? = nil, isCommitted: Bool = false, _ change: (inout Configuration) -> Void
  ) {
    var next = node.raft.configuration
    change(&next)
    var payload = ByteBuffer()
    next.encode(into: &payload)
    let previous = last ?? node.raft.outline.lastEntry
    var records = ByteBuffer()
    records.append(
      EntryRecord(
        kind: .configuration, id: EntryID(index: previous.index.next, term: entryTerm),
        payload: payload.readable))
    let header = EntryHeader(
      term: entryTerm, kind: .configuration, size: UInt32(payload.count), configuration: next)
    let commit = isCommitted ? previous.index.next : previous.index
    let request = AppendRequest(
      previous: previous, leaderCommit: commit, round: 1, entries: [header])
    hear(.append(request), from: leader, term: term, payload: records)
  }

  /// Becomes leader by the votes of these, who then have the whole log.
  func lead(votes: [Int], acknowledged: [Int]? = nil) {
    for _ in 0..<20 where node.raft.role == .follower { passToDeadline() }
    for voter in votes where node.raft.role == .preCandidate {
      let reply = VoteReply(phase: .preVote, granted: true)
      hear(.voteReply(reply), from: voter, term: node.raft.currentTerm.next)
    }
    for voter in votes where node.raft.role == .candidate {
      hear(.voteReply(VoteReply(phase: .vote, granted: true)), from: voter)
    }
    for follower in acknowledged ?? votes { acknowledge(follower) }
  }

  func acknowledge(_ number: Int, through index: LogIndex? = nil, round: UInt64 = 0) {
    let reply = AppendReply(outcome: .matched(index ?? node.raft.lastIndex), round: round)
    hear(.appendReply(reply), from: number)
  }

  /// Answers the newest heartbeat that this member was sent.
  func answerHeartbeat(_ number: Int) {
    for envelope in wire.sent.reversed() where envelope.to == NodeID(UInt64(number)) {
      guard case .heartbeat(let heartbeat) = envelope.message else { continue }
      return hear(.heartbeatReply(HeartbeatReply(round: heartbeat.round)), from: number)
    }
  }

  /// Another leader, of a later term, is heard.
  func depose(by number: Int) {
    hear(
      .heartbeat(Heartbeat(commit: .zero, round: 1)), from: number,
      term: node.raft.currentTerm.next)
  }

  // MARK: Clients

  /// Asks, and returns what names the request from then on.
  @discardableResult
  func ask(_ request: ClientRequest) -> UInt32 {
    lastSequence += 1
    let token = RequestToken(connection: 0, generation: 0, sequence: lastSequence)
    if case .reply(let reply) = node.handle(request, token: token) {
      clients.replies[lastSequence] = reply
    }
    turn()
    return lastSequence
  }

  @discardableResult
  func put(_ key: String, _ value: [UInt8] = [1]) -> UInt32 {
    Array(key.utf8).withUnsafeBytes { key in
      value.withUnsafeBytes { ask(.put(key: key, value: $0)) }
    }
  }

  /// Status and code of the answer, or what it is; nil while there is none.
  func answer(_ request: UInt32) -> String? {
    switch clients.replies[request] {
    case nil: nil
    case .failure(let failure): "\(failure.status) \(failure.code)"
    case .joined(let member): "joined \(member.name)"
    case .removed(let name, _): "removed \(name)"
    case .written: "written"
    case .redirect(let leader, _): "307 \(leader)"
    default: "another"
    }
  }
}
