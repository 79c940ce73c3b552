import DequeModule

/// What peers send and are sent.
extension Replica {
  // MARK: Sending (step 3 of `Effects`)

  func send(_ envelope: Envelope) {
    switch envelope.message {
    case .append(let request): sendAppend(envelope, request)
    case .snapshotChunk(let chunk): sendChunk(envelope, chunk)
    case .heartbeat(let heartbeat):
      metrics.didSendHeartbeat(heartbeat.round, to: envelope.to, at: now)
      transport.send(envelope, report: nil, payload: .empty)
    case .appendReply, .heartbeatReply:
      transport.send(envelope, report: stateHashReport, payload: .empty)
    default: transport.send(envelope, report: nil, payload: .empty)
    }
  }

  /// Entries come from the log's memory. Older ones are read from disk first; what follows them to
  /// the same peer then waits its turn, or it would arrive out of order. An append without entries
  /// waits too: ahead of those it asks about, it would find a gap that is none.
  private func sendAppend(_ envelope: Envelope, _ request: AppendRequest) {
    if deferred[envelope.to] != nil { return deferBehindOthers(envelope, request) }
    if !sendFromMemory(envelope, request) {
      CoverageMark.hit(.appendFromDisk)
      deferred[envelope.to] = [envelope]
      sendFromDisk(to: envelope.to)
    }
  }

  /// Others wait to be sent to the same peer. They are in the way of an append that goes back
  /// behind the last of them: the engine knows of a gap. Sent all the same, each of them would
  /// meet that gap, and behind hundreds of them, read from disk, a follower would never be served
  /// what it lacks. One that begins where the first of them does repeats it and is not needed: on a
  /// slow disk the reading would begin anew with each repetition, and never end.
  private func deferBehindOthers(_ envelope: Envelope, _ request: AppendRequest) {
    CoverageMark.hit(.appendDeferred)
    let peer = envelope.to
    if case .append(let first)? = deferred[peer]!.first?.message,
      case .append(let last)? = deferred[peer]!.last?.message, request.previous.index < last.last
    {
      if request.previous == first.previous, isCurrent(deferred[peer]![0]) { return }
      deferred[peer]!.removeAll()
    }
    if deferred[peer]!.count < settings.maximumDeferred { deferred[peer]!.append(envelope) }
  }

  private func sendFromMemory(_ envelope: Envelope, _ request: AppendRequest) -> Bool {
    frame.clear()
    if request.count > 0 {
      let copied = log.copyRecords(
        from: request.previous.index.next, through: request.last, maxBytes: .max, into: &frame)
      guard copied == request.last else { return false }
      hasSentEntries = true
    }
    transport.send(envelope, report: nil, payload: frame.readable)
    return true
  }

  /// Sends the oldest deferred message to `peer`, slice by slice as its entries are read.
  private func sendFromDisk(to peer: NodeID) {
    while let envelope = deferred[peer]?.first {
      guard case .append(let request) = envelope.message, isCurrent(envelope) else {
        deferred[peer]!.removeFirst()
        continue
      }
      if sendFromMemory(envelope, request) {
        deferred[peer]!.removeFirst()
        continue
      }
      let first = request.previous.index.next
      return log.readRecords(
        from: first, through: request.last, maxBytes: settings.parameters.maximumAppendBytes
      ) { [self] slice in didRead(slice, for: envelope, request) }
    }
    deferred[peer] = nil
  }

  private func didRead(_ slice: RecordSlice?, for envelope: Envelope, _ request: AppendRequest) {
    let peer = envelope.to
    guard let slice, deferred[peer]?.first == envelope, isCurrent(envelope) else {
      // The log changed under the read, or leadership is over: the
      // engine will ask again if need be.
      CoverageMark.hit(.appendReadInVain)
      if deferred[peer]?.first == envelope { deferred[peer]!.removeFirst() }
      return sendFromDisk(to: peer)
    }
    var part = request
    part.count = slice.last - request.previous.index
    transport.send(
      Envelope(from: envelope.from, to: peer, term: envelope.term, message: .append(part)),
      report: nil, payload: slice.records)
    deferred[peer]!.removeFirst()
    if slice.last < request.last, let term = raft.outline.term(at: slice.last) {
      var rest = request
      rest.previous = EntryID(index: slice.last, term: term)
      rest.count = request.last - slice.last
      deferred[peer]!.prepend(
        Envelope(from: envelope.from, to: peer, term: envelope.term, message: .append(rest)))
    }
    sendFromDisk(to: peer)
  }

  /// Its sender's connections end with this turn. A sound peer is back in a moment.
  func refute(_ contradiction: Contradiction) {
    guard transport.isConnected(contradiction.sender) else { return }
    logger.error("\(nameOf(contradiction.sender)) is not heard: \(contradiction.claim)")
    transport.hangUp(on: contradiction.sender)
  }

  /// A message made in a leadership that is over must not be sent with what the log holds now.
  private func isCurrent(_ envelope: Envelope) -> Bool {
    raft.role == .leader && envelope.term == raft.currentTerm
  }

  // MARK: State hashes

  /// The newest remembered hash goes with every answer; it is a few bytes.
  private var stateHashReport: StateHashReport? { store.history.latest }

  /// Compares what members report at equal index. The leader stops the one that disagrees with a
  /// majority, itself included; without a majority it raises an alarm and stops nobody.
  private func judge(_ report: StateHashReport, from peer: NodeID) {
    guard raft.role == .leader, raft.configuration.contains(peer),
      let own = store.history.report(at: report.index)
    else { return }
    let verdict = divergence.note(
      report, from: peer, own: own, by: raft.id, voters: raft.configuration.voters)
    switch verdict {
    case .agreed: return
    case .undecided:
      logger.error(
        "the state at \(own.index) differs between members and no majority agrees: compare their "
          + "stateHash in /status, and keep the data of all of them")
    case .deviant(raft.id): stopDiverged(at: own.index)
    case .deviant(let deviant):
      logger.error("\(nameOf(deviant)) differs from the majority at \(own.index): it must stop")
      let envelope = Envelope(
        from: raft.id, to: deviant, term: raft.currentTerm, message: .diverged(at: own.index))
      transport.send(envelope, report: nil, payload: .empty)
    }
  }

  private func stopDiverged(at index: LogIndex) {
    fail(
      "the state of this node at entry \(index) differs from the majority's: its data is kept for "
        + "inspection; /remove it, empty its data directory and /join it again", .diverged)
  }
}

extension UnsafeRawBufferPointer {
  static var empty: UnsafeRawBufferPointer { .init(start: nil, count: 0) }
}

extension Replica: TransportDelegate {
  package func didReceive(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {
    guard !hasFailed else { return }
    now = clock()
    if let report { judge(report, from: envelope.from) }
    if case .diverged(let index) = envelope.message {
      guard envelope.from == raft.leader, envelope.term == raft.currentTerm else { return }
      return stopDiverged(at: index)
    }
    if case .moved(let report) = envelope.message {
      if envelope.term == raft.currentTerm { noteMove(report, from: envelope.from) }
      return
    }
    if case .heartbeatReply(let reply) = envelope.message, envelope.term == raft.currentTerm {
      metrics.didReceiveHeartbeatReply(reply.round, from: envelope.from, at: now)
    }
    raft.receive(envelope, at: now, into: &effects)
    performLogEdits(records: payload, chunk: payload)
    noteLeaderCommit(envelope)
  }

  package func didConnect(_ peer: NodeID, hello: Hello) {
    now = clock()
    raft.didConnect(peer, at: now)
    noteAddresses(of: peer, hello, isConnected: true)
  }

  package func didDisconnect(_ peer: NodeID) {
    now = clock()
    deferred[peer] = nil
    unplaced[peer] = nil
    raft.didDisconnect(peer, at: now)
    // Perhaps its process is gone: who refuses a connection is. Who leads
    // us is worth a look at once.
    if peer == raft.leader || peer == raft.deadLeader { transport.probe(peer) }
  }

  package func didProbe(_ peer: NodeID, _ outcome: ProbeOutcome) {
    now = clock()
    logger.debug("probed \(nameOf(peer)): \(outcome)")
    switch outcome {
    case .refused, .otherProcess:
      CoverageMark.hit(outcome == .refused ? .probeRefused : .probeMetAnother)
      raft.didFindDead(peer, at: now, into: &effects)
    case .sameProcess: CoverageMark.hit(.probeMetTheSame)
    case .undecided: if peer == raft.leader { probeAgain = now + Self.probePause }
    }
  }

  /// Ports close a moment after connections where a large process ends. Nothing is lost by looking
  /// again until the election timeout decides.
  private static var probePause: Interval { .milliseconds(10) }

  func probeLeaderIfDue() {
    guard let due = probeAgain, due <= now else { return }
    probeAgain = nil
    guard raft.role == .follower, raft.leader != .none, raft.hearsLeader(at: now),
      !transport.isConnected(raft.leader)
    else { return }
    transport.probe(raft.leader)
  }

  package func didReceivePartialFrame(from peer: NodeID) {
    raft.didReceivePartially(from: peer, at: clock())
  }

  package var configuration: Configuration { raft.configuration }

  package var localIdentity: LocalIdentity {
    LocalIdentity(
      cluster: identity.cluster, name: settings.name, id: raft.id,
      memberSince: raft.configuration.member(raft.id)?.memberSince ?? .zero, nonce: nonce,
      raftAddress: ownAddresses.raft, httpAddress: ownAddresses.http)
  }

  /// A cluster counts us as a member: its id becomes ours, durably, before
  /// a message of its is heard.
  package func adopt(_ cluster: ClusterID, then completion: @escaping (Bool) -> Void) {
    if identity.cluster == cluster { return completion(true) }
    guard identity.cluster == .none, !isAdopting else { return completion(false) }
    CoverageMark.hit(.clusterAdopted)
    isAdopting = true
    logger.info("joins cluster \(cluster)")
    identities.join(cluster) { [unowned self] in
      isAdopting = false
      completion(true)
    }
  }

  package func didRefuse(_ hello: Hello, _ refusal: Refusal) {
    now = clock()
    // Whoever was away while this host's disk was replaced dials the node that was here before us.
    // Where it has moved as well, this is all that we will hear of its new address (D12).
    if refusal.code == .anotherIncarnation, hello.cluster == identity.cluster {
      noteAddresses(of: hello.sender.id, hello, isConnected: false)
    }
    // Somebody counts on our name as a member of an existing cluster, but on other data.
    guard hello.target.name == settings.name, hello.target.memberSince > .zero,
      hello.cluster != identity.cluster, hello.target.id != raft.id
    else { return }
    if raft.configuration.members.count == 1, !isInOtherCluster {
      isInOtherCluster = true
      logger.error(
        "cluster \(hello.cluster) counts \(settings.name) as its member: this node was "
          + "bootstrapped by mistake and takes no writes")
    }
  }

  package func didMeetRefusal(from peer: NodeID, _ refusal: Refusal) {
    logger.debug("\(nameOf(peer)) refused us: \(refusal.sentence)")
  }

  // MARK: Membership

  /// The engine's configuration changed: talk to its members.
  func didChangeConfiguration() {
    #if FAILPOINTS
    Failpoint.pass(.before, .configurationChange)
    defer { Failpoint.pass(.after, .configurationChange) }
    #endif
    hasSeenConfiguration = true
    if raft.configuration.contains(raft.id) { hasBeenMember = true }
    noteOwnAddresses()
    forgetOldAdvertisements()
    transport.setPeers(raft.configuration.members.filter { $0.id != raft.id }.map(Peer.init))
  }
}
