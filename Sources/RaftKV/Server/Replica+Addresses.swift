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
    guard HostPort(hello.raftAddress) != nil, HostPort(hello.httpAddress) != nil else { return }
    let said = Addresses(raft: hello.raftAddress, http: hello.httpAddress)
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

  /// A new leader looks at what every member has said of itself, and at what it says itself. Who
  /// said so before we knew it as the member that it is, is asked again: how its word compares with
  /// what has been recorded since, only the member can tell.
  func noteAllAddresses() {
    for member in raft.configuration.members {
      if let (said, since) = unplaced[member.id], since == member.memberSince,
        said != Addresses(member)
      {
        unplaced[member.id] = nil
        transport.askAgain(member.id)
      }
      noteAddresses(of: member.id)
    }
  }

  /// The dial that confirms a move may be lost, while the member stays connected and so has no
  /// reason to say hello again.
  func noteUnconfirmedMoves() {
    guard let due = administration.movesDue, now >= due else { return }
    administration.movesDue = nil
    for member in raft.configuration.members where transport.isConnected(member.id) {
      noteAddresses(of: member.id)
    }
  }

  private static var movePause: Interval { .seconds(2) }

  /// What a member says of itself, where that is not what is recorded.
  private func news(of peer: NodeID) -> Addresses? {
    let said = peer == raft.id ? ownAddresses : advertised[peer]?.said
    guard let said, let member = raft.configuration.member(peer), Addresses(member) != said else {
      return nil
    }
    return said
  }

  private func noteAddresses(of peer: NodeID) {
    guard raft.role == .leader, let news = news(of: peer),
      !administration.isWaiting(toRecord: news, of: peer),
      administration.waiting.count < settings.maximumQueuedChanges
    else { return }
    administration.waiting.append(
      .update(
        Administration.Update(
          id: peer, addresses: news,
          // Nobody needs to dial us to find us here.
          phase: peer == raft.id ? .confirmed : .new)))
  }

  /// The new address is dialled first: only where the same incarnation answers is it recorded. It
  /// may have become old while it waited for its turn, or for the change before it.
  func step(_ update: Administration.Update) {
    var update = update
    guard let member = raft.configuration.member(update.id),
      news(of: update.id) == update.addresses
    else {
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
        guard case .success(let found) = result, found.id == update.id else {
          CoverageMark.hit(.moveNotConfirmed)
          administration.current = nil
          administration.movesDue = now + Self.movePause
          return
        }
        CoverageMark.hit(.moveConfirmed)
        update.phase = .confirmed
        administration.current = .update(update)
      }
    }
  }
}
