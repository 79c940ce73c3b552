import RaftKV

/// Several `Raft` values and a tiny twin of the driver for each: logs in memory, disk writes and
/// messages held until someone lets them go, and time that moves by hand. What a node
/// does is performed here exactly as `Effects` demands; `RaftHarness+Checks.swift`
/// judges it after every event.
final class RaftHarness {
  var nodes: [Node] = []
  /// Sent and not yet delivered, oldest first.
  var packets: [Packet] = []
  /// True time. Each node reads it through a clock of its own.
  var time = Interval.seconds(1)
  let parameters: Parameters
  private var seed: UInt64

  /// What happened, one line each, while `isTracing`.
  var trace: [String] = []
  var isTracing = false
  /// Broken promises, as sentences. A test passes when there are none.
  var failures: [String] = []
  var world = World()

  init(parameters: Parameters = Parameters(), seed: UInt64 = 1) {
    self.parameters = parameters
    self.seed = seed
  }

  struct Packet {
    var envelope: Envelope
    var entries: [StoredEntry] = []
    var snapshot: StoredSnapshot?
  }

  // MARK: Making nodes

  /// The first `voters` of `count` nodes are a cluster whose configuration is durable at 1@1; the
  /// others are empty.
  func start(voters: Int, count: Int) {
    let members = (1...voters).map { Self.member($0, role: .voter) }
    let first = StoredEntry(
      id: EntryID(index: LogIndex(1), term: Term(1)), kind: .configuration, command: "",
      configuration: Configuration(members: members), after: 0)
    world.chains[first.id] = first.chain
    world.committed = [first]
    for number in 1...count {
      var disk = Disk()
      if number <= voters {
        disk.hardState = HardState(currentTerm: Term(1))
        disk.log.entries = [first]
      }
      nodes.append(Node(number: number, disk: disk, parameters: parameters, seed: nextSeed()))
    }
    for node in nodes { node.reboot(parameters: parameters, seed: nextSeed(), at: now(at: node)) }
    for one in 1...count {
      for other in 1...count where one < other { connect(one, other) }
    }
  }

  static func member(_ number: Int, role: Configuration.Role) -> Configuration.Member {
    Configuration.Member(
      id: NodeID(UInt64(number)), name: "n\(number)", memberSince: LogIndex(1),
      raftAddress: "n\(number):1", httpAddress: "n\(number):2", role: role)
  }

  private func nextSeed() -> UInt64 {
    seed += 1
    return seed
  }

  func node(_ number: Int) -> Node { nodes[number - 1] }

  func now(at node: Node) -> Instant {
    Instant(nanoseconds: time.nanoseconds / 100 * node.clockPercent)
  }

  // MARK: Events

  /// One event at a node: what it makes the engine want is performed, until nothing is left.
  func happen(
    at node: Node, from packet: Packet? = nil, _ event: (Node, Instant) -> Void
  ) {
    guard node.isUp else { return }
    event(node, now(at: node))
    perform(node, packet)
    settle(node)
    check(node)
  }

  func deliver(_ packet: Packet) {
    let number = Int(packet.envelope.to.rawValue)
    happen(at: node(number), from: packet) { node, now in
      node.raft.receive(packet.envelope, at: now, into: &node.effects)
    }
  }

  func deadlinePassed(_ number: Int) {
    happen(at: node(number)) { $0.raft.deadlinePassed(at: $1, into: &$0.effects) }
  }

  /// Moves time to the deadline of one node, and wakes it.
  func expire(_ number: Int) {
    let node = node(number)
    guard node.isUp, node.raft.deadline != .distantFuture else { return }
    let due = node.raft.deadline.nanoseconds / node.clockPercent * 100 + 100
    time = max(time, Interval(nanoseconds: due))
    deadlinePassed(number)
  }

  @discardableResult
  func propose(_ number: Int, _ command: String) -> EntryID? {
    var proposed: EntryID?
    happen(at: node(number)) { node, _ in
      do throws(Raft.Refusal) {
        let id = try node.raft.propose(size: command.utf8.count)
        node.append(
          StoredEntry(id: id, kind: .command, command: command, after: node.log.lastChain))
        node.proposals[id.index] = id.term
        proposed = id
      } catch {
        note("\(node.name) refuses: \(error)")
      }
    }
    return proposed
  }

  func read(_ number: Int) {
    let floor = world.acknowledged
    happen(at: node(number)) { node, _ in
      do throws(Raft.Refusal) {
        let ticket = try node.raft.requestRead()
        node.reads.append(Read(ticket: ticket, term: node.raft.currentTerm, floor: floor))
      } catch {
        note("\(node.name) refuses: \(error)")
      }
    }
  }

  @discardableResult
  func change(_ number: Int, _ change: Raft.Change) -> Bool {
    var isAccepted = false
    happen(at: node(number)) { node, now in
      do throws(Raft.Refusal) {
        try node.raft.change(change, at: now, into: &node.effects)
        isAccepted = true
      } catch {
        note("\(node.name) refuses: \(error)")
      }
    }
    return isAccepted
  }

  func transfer(_ number: Int, to target: Int?) {
    happen(at: node(number)) { node, now in
      let target = target.map { NodeID(UInt64($0)) }
      if !node.raft.transferLeadership(to: target, at: now, into: &node.effects) {
        note("\(node.name) does not transfer")
      }
    }
  }

  func setStorage(_ number: Int, _ health: Raft.StorageHealth) {
    happen(at: node(number)) { $0.raft.setStorage(health, at: $1, into: &$0.effects) }
  }

  func findDead(_ number: Int, _ peer: Int) {
    happen(at: node(number)) {
      $0.raft.didFindDead(NodeID(UInt64(peer)), at: $1, into: &$0.effects)
    }
  }

  func connect(_ one: Int, _ other: Int) {
    for (here, there) in [(one, other), (other, one)] {
      happen(at: node(here)) { $0.raft.didConnect(NodeID(UInt64(there)), at: $1) }
    }
  }

  func disconnect(_ one: Int, _ other: Int) {
    for (here, there) in [(one, other), (other, one)] {
      happen(at: node(here)) { $0.raft.didDisconnect(NodeID(UInt64(there)), at: $1) }
    }
  }

  /// Takes a snapshot of what is applied; it is durable once `persistSnapshot` says so.
  func takeSnapshot(_ number: Int) {
    let node = node(number)
    guard node.isUp, node.saving == nil, node.applied > node.disk.snapshot?.index ?? .zero,
      let term = node.log.term(at: node.applied)
    else { return }
    let total = 20 + node.applied.rawValue % 3 * 10
    node.saving = StoredSnapshot(
      info: Raft.SnapshotInfo(lastEntry: EntryID(index: node.applied, term: term), total: total),
      item: node.raft.configurations.item(at: node.applied), chain: node.appliedChain)
  }

  /// The process dies. The disk keeps the first `keeping` edits of those under way, and the hard
  /// state under way only if told so.
  func crash(_ number: Int, keeping: Int = 0, hardState keepsHardState: Bool = false) {
    let node = node(number)
    guard node.isUp else { return }
    node.isUp = false
    for edit in node.writes.flatMap(\.edits).prefix(keeping) { node.disk.log.apply(edit) }
    if keepsHardState, let hardState = node.hardStateInFlight { node.disk.hardState = hardState }
    for other in nodes where other.id != node.id {
      happen(at: other) { $0.raft.didDisconnect(node.id, at: $1) }
    }
  }

  func restart(_ number: Int) {
    let node = node(number)
    guard !node.isUp else { return }
    node.reboot(parameters: parameters, seed: nextSeed(), at: now(at: node))
    settle(node)
    check(node)
    for other in nodes where other.id != node.id && other.isUp {
      connect(number, Int(other.id.rawValue))
    }
  }

  // MARK: The disk

  func persistHardState(_ number: Int) {
    guard let hardState = node(number).hardStateInFlight else { return }
    happen(at: node(number)) { node, now in
      node.hardStateInFlight = nil
      node.disk.hardState = hardState
      node.raft.didPersistHardState(hardState, at: now, into: &node.effects)
    }
  }

  /// The oldest log write is durable.
  func persistLog(_ number: Int) {
    guard let write = node(number).writes.first else { return }
    happen(at: node(number)) { node, now in
      node.writes.removeFirst()
      for edit in write.edits { node.disk.log.apply(edit) }
      node.raft.didPersist(ticket: write.ticket, at: now, into: &node.effects)
    }
  }

  /// The snapshot lane: a chunk is stored, a received snapshot installed, or one of our own saved.
  func persistSnapshot(_ number: Int, keepingTail tail: Int = 0) {
    let node = node(number)
    if !node.storing.isEmpty {
      let chunk = node.storing.removeFirst()
      happen(at: node) { node, _ in
        node.raft.didStoreChunk(of: chunk.lastEntry, through: chunk.offset + UInt64(chunk.size))
      }
      if chunk.isLast { node.received = node.incoming }
    } else if let received = node.received {
      node.received = nil
      install(received, at: node)
    } else if let saved = node.saving {
      node.saving = nil
      guard node.isUp, saved.index > node.disk.snapshot?.index ?? .zero else { return }
      node.disk.snapshot = saved
      happen(at: node) { node, _ in
        node.raft.didSaveSnapshot(saved.info, keepingTail: tail, into: &node.effects)
      }
    }
  }

  private func install(_ received: StoredSnapshot, at node: Node) {
    guard node.isUp, received.index > node.disk.snapshot?.index ?? .zero else { return }
    let earlier = node.disk.snapshot
    node.disk.snapshot = received
    happen(at: node) { node, now in
      let isTaken = node.raft.installSnapshot(
        received.info, configuration: received.item, at: now, into: &node.effects)
      guard isTaken else {
        node.disk.snapshot = earlier
        return
      }
      note("\(node.name) installs \(received.info.lastEntry)")
      node.snapshotBeingInstalled = received
    }
  }

  func hasDiskWork(_ node: Node) -> Bool {
    node.hardStateInFlight != nil || !node.writes.isEmpty || !node.storing.isEmpty
      || node.received != nil || node.saving != nil
  }

  // MARK: Performing effects

  private func settle(_ node: Node) {
    repeat {
      node.raft.flush(at: now(at: node), into: &node.effects)
    } while perform(node, nil) && node.isUp
    apply(node)
  }

  @discardableResult
  private func perform(_ node: Node, _ packet: Packet?) -> Bool {
    for edit in node.effects.logEdits { node.perform(edit, packet) }
    node.effects.logEdits.removeAll()
    guard !node.effects.isEmpty else { return false }
    let effects = node.effects
    node.effects = Effects()
    // Their order is fixed, so what a trace shows is what happened.
    for notice in effects.notices { note(notice, at: node) }
    for contradiction in effects.contradictions {
      fail("\(node.name) hears what cannot be: \(contradiction)")
    }
    if let hardState = effects.hardState {
      node.hardStateInFlight = hardState
      if node.isDiskSlow { note("\(node.name) writes \(describe(hardState))") }
    }
    if let ticket = effects.logWrite {
      node.writes.append((ticket, node.unwritten))
      node.unwritten.removeAll()
      if node.isDiskSlow { note("\(node.name) writes log through \(node.log.lastEntry)") }
    }
    for envelope in effects.messages { send(envelope, from: node) }
    apply(node)
    if let confirmed = effects.confirmedReads { answer(confirmed, at: node) }
    for peer in effects.probes { note("\(node.name) probes \(Self.name(peer))") }
    if !node.isDiskSlow { persistEverything(node) }
    return true
  }

  /// A disk that is done at once.
  private func persistEverything(_ node: Node) {
    if let hardState = node.hardStateInFlight {
      node.hardStateInFlight = nil
      node.disk.hardState = hardState
      node.raft.didPersistHardState(hardState, at: now(at: node), into: &node.effects)
    }
    for write in node.writes {
      for edit in write.edits { node.disk.log.apply(edit) }
      node.raft.didPersist(ticket: write.ticket, at: now(at: node), into: &node.effects)
    }
    node.writes.removeAll()
  }

  private func send(_ envelope: Envelope, from node: Node) {
    var packet = Packet(envelope: envelope)
    switch envelope.message {
    case .append(var request):
      guard node.log.term(at: request.previous.index) == request.previous.term else {
        return fail("\(node.name) sends entries after \(request.previous), which it does not have")
      }
      packet.entries = (0..<request.count).map {
        node.log.entry(at: request.previous.index + ($0 + 1))!
      }
      request.entries = packet.entries.map(\.header)
      packet.envelope.message = .append(request)
    case .snapshotChunk(let chunk):
      packet.snapshot = node.disk.snapshot(of: chunk.lastEntry)
    default: break
    }
    checkPromise(packet.envelope, from: node)
    note(packet.envelope)
    packets.append(packet)
  }

  private func apply(_ node: Node) {
    while node.applied < node.raft.applicableIndex {
      let index = node.applied.next
      guard let entry = node.log.entry(at: index) else {
        return fail("\(node.name) cannot apply \(index)")
      }
      node.applied = index
      node.appliedChain = entry.chain
      checkApplied(entry, at: node)
      if entry.kind == .command { note("\(node.name) applies \(entry.id) \(entry.command)") }
      if let term = node.proposals.removeValue(forKey: index), term == entry.id.term {
        world.acknowledged = max(world.acknowledged, index)
      }
    }
  }

  private func answer(_ confirmed: ConfirmedReads, at node: Node) {
    let term = node.raft.currentTerm
    for read in node.reads where read.term == term && read.ticket <= confirmed.through {
      if confirmed.index < read.floor { fail("\(node.name) answers a read with old state") }
      note("\(node.name) confirms read \(read.ticket) at \(confirmed.index)")
    }
    node.reads.removeAll { $0.term != term || $0.ticket <= confirmed.through }
  }
}
