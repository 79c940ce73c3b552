/// Members that move: what they say of their addresses, and what is recorded of it (D12).
extension Replica {
  /// A member's hello may name addresses that the configuration does not have (D12). Whoever leads
  /// has them recorded; that may be us, later. A node that does not know yet that it is a member
  /// cannot know either which addresses it was given.
  func noteAddresses(of peer: NodeID, _ hello: Hello, isConnected: Bool) {
    #if PLANTED_BUGS
    let isNews = raft.configuration.member(peer)?.raftAddress != hello.raftAddress
    if isNews, PlantedBug.movesUnrecorded.isActive { return }
    #endif
    let said = Addresses(raft: hello.raftAddress, http: hello.httpAddress)
    guard said.areUsable else { return }
    guard let member = raft.configuration.member(peer),
      hello.sender.memberSince == member.memberSince
    else {
      if isConnected { unplaced[peer] = (said, hello.sender.memberSince) }
      return
    }
    unplaced[peer] = nil
    advertised[peer] = Advertisement(
      said: said, recorded: recorded(member),
      knownThrough: max(raft.commitIndex, commitMarks.newest))
    noteAddresses(of: peer)
  }

  /// A follower says where a member is that has told the follower, and perhaps cannot tell us: who
  /// does not know us does not dial us. It only says where to look: it counts if the member says
  /// the same there. One that is connected has told us itself.
  func noteMove(_ report: MoveReport, from follower: NodeID) {
    let said = Addresses(raft: report.raftAddress, http: report.httpAddress)
    let update = Administration.Update(id: report.member, addresses: said, isHearsay: true)
    guard raft.role == .leader, raft.configuration.contains(follower), said.areUsable,
      report.member != raft.id, !transport.isConnected(report.member),
      raft.configuration.member(report.member)?.memberSince == report.memberSince,
      isDue(update), administration.mayLook(again: report, at: now)
    else { return }
    CoverageMark.hit(.moveReported)
    append(update)
  }

  /// Whether it would still tell the configuration something new. Once a member is connected, its
  /// own word counts.
  private func isDue(_ update: Administration.Update) -> Bool {
    guard update.isHearsay, !transport.isConnected(update.id) else {
      return news(of: update.id) == update.addresses
    }
    return raft.configuration.member(update.id).map(Addresses.init) != update.addresses
  }

  /// What the newest configuration entry has. An entry that is compacted is of the term of the base
  /// at the latest.
  private func recorded(_ member: Configuration.Member) -> RecordedAddresses {
    let index = raft.configurations.currentIndex
    let term = raft.outline.term(at: index) ?? raft.outline.base.term
    return RecordedAddresses(
      addresses: Addresses(member), memberSince: member.memberSince,
      entry: EntryID(index: index, term: term))
  }

  /// What we say of ourselves.
  var ownAddresses: Addresses {
    givenAddresses?.addresses ?? Addresses(raft: settings.raftAddress, http: settings.httpAddress)
  }

  /// An entry that changes our addresses while we run is an operator's word, by `/join`, and counts
  /// more than our flags do, until the next start, or until it is taken back. What a member catches
  /// up on after its start does not: it may be of before that, and others would look for us at our
  /// old address for as long as they stay connected.
  func noteOwnAddresses() {
    let member = raft.configuration.member(raft.id)
    let isStart = startedAsMember == nil
    let startedAsMember = self.startedAsMember ?? (member != nil)
    self.startedAsMember = startedAsMember
    guard let member else {
      givenAddresses = nil
      recordedAddresses = nil
      return
    }
    let before = ownAddresses
    let record = recorded(member)
    let last = recordedAddresses
    recordedAddresses = record
    if let given = givenAddresses, given.isNewer(than: record) { givenAddresses = nil }
    if !isStart, last?.addresses != record.addresses, last.map(record.isNewer(than:)) ?? true {
      if startedAsMember, isCatchingUp {
        CoverageMark.hit(.oldAddressesPassedOver)
      } else {
        givenAddresses = record
      }
    }
    // What we have said to those that we are connected with is not true any more; or it was not
    // heeded, because we said it as another member than we are.
    let isUnheard = !isStart && last?.memberSince != record.memberSince
    if ownAddresses != before || isUnheard && ownAddresses != record.addresses {
      transport.greetAnew()
    }
  }

  /// Whether what comes may have been in the log for long. What its leader had not committed yet
  /// when we caught up comes soon after.
  private var isCatchingUp: Bool {
    guard raft.role != .leader else { return false }
    return commitMarks.caughtUpAt.map { now - $0 < settings.parameters.electionTimeout * 2 } ?? true
  }

  func forgetOldAdvertisements() {
    for (peer, advertisement) in advertised {
      guard let member = raft.configuration.member(peer) else {
        advertised[peer] = nil
        continue
      }
      var advertisement = advertisement
      let record = recorded(member)
      let counts = advertisement.stillCounts(beside: record) || isCatchingUp
      if !counts { CoverageMark.hit(.advertisementOutdated) }
      advertised[peer] = counts ? advertisement : nil
    }
  }

  /// A new leader looks at what every member has said of itself, and at what it says itself; a new
  /// leader's follower, at what the leader should know. Who said so before we knew it as the member
  /// that it is, is asked again: how its word compares with what has been recorded since, only the
  /// member can tell.
  func noteAllAddresses() {
    for member in raft.configuration.members {
      if let (said, since) = unplaced[member.id], since == member.memberSince,
        said != Addresses(member), member.id != raft.leader
      {
        unplaced[member.id] = nil
        transport.askAgain(member.id)
      }
      noteAddresses(of: member.id)
    }
  }

  /// The dial that confirms a move may be lost, while the member stays connected and so has no
  /// reason to say hello again. A follower's report may be lost as well, or in vain.
  func noteUnconfirmedMoves() {
    guard let due = administration.movesDue, now >= due else { return }
    administration.movesDue = nil
    for member in raft.configuration.members
    where raft.role != .leader || transport.isConnected(member.id) {
      noteAddresses(of: member.id)
    }
  }

  /// What a member says of itself, where that is not what is recorded.
  private func news(of peer: NodeID) -> Addresses? {
    let said = peer == raft.id ? ownAddresses : advertised[peer]?.said
    guard let said, let member = raft.configuration.member(peer), Addresses(member) != said else {
      return nil
    }
    return said
  }

  private func noteAddresses(of peer: NodeID) {
    guard let news = news(of: peer) else { return }
    guard raft.role == .leader else { return report(news, of: peer) }
    append(
      Administration.Update(
        id: peer, addresses: news,
        // Nobody needs to dial us to find us here.
        phase: peer == raft.id ? .confirmed : .new))
  }

  private func append(_ update: Administration.Update) {
    guard !administration.isConcerned(with: update.addresses, of: update.id) else { return }
    guard administration.waiting.count < settings.maximumQueuedChanges else {
      administration.movesDue = administration.movesDue ?? now + Administration.movePause
      return
    }
    administration.waiting.append(.update(update))
  }

  /// Whoever leads us may look for this member in vain. Said again until it is recorded.
  private func report(_ news: Addresses, of peer: NodeID) {
    guard raft.role == .follower, raft.leader != .none, peer != raft.leader, peer != raft.id,
      let member = raft.configuration.member(peer)
    else { return }
    // Nobody speaks of a term before it is durable (A1).
    guard raft.isHardStateDurable else {
      administration.movesDue = now
      return
    }
    let report = MoveReport(
      member: peer, memberSince: member.memberSince, raftAddress: news.raft, httpAddress: news.http)
    let envelope = Envelope(
      from: raft.id, to: raft.leader, term: raft.currentTerm, message: .moved(report))
    transport.send(envelope, report: nil, payload: .empty)
    administration.movesDue = now + Administration.movePause
  }

  /// The new address is dialled first: only where the same incarnation answers, and still says so,
  /// is it recorded. It may have become old while it waited for its turn, or for the change before.
  func step(_ update: Administration.Update) {
    var update = update
    guard let member = raft.configuration.member(update.id), isDue(update) else {
      administration.current = nil
      return
    }
    switch update.phase {
    case .discovering: return
    case .confirmed:
      let change = Raft.Change.update(
        update.id, raftAddress: update.addresses.raft, httpAddress: update.addresses.http)
      if (try? append(change)) != false { administration.current = nil }
    case .new:
      update.phase = .discovering
      administration.current = .update(update)
      let attempt = administration.attempt
      transport.discover(address: update.addresses.raft, name: member.name) { [self] result in
        guard administration.attempt == attempt, case .update(var update)? = administration.current
        else { return }
        now = clock()
        guard case .success(let found) = result, found.id == update.id,
          found.memberSince == member.memberSince,
          found.raftAddress == update.addresses.raft, found.httpAddress == update.addresses.http
        else {
          CoverageMark.hit(.moveNotConfirmed)
          administration.current = nil
          administration.movesDue = now + Administration.movePause
          return
        }
        CoverageMark.hit(.moveConfirmed)
        update.phase = .confirmed
        administration.current = .update(update)
      }
    }
  }
}
