/// Members that move: what they say of their addresses, and what is recorded of it (D12).
extension Replica {
  /// A member's hello may name addresses that the configuration does not have (D12). Whoever leads
  /// has them recorded; that may be us, later. A node that does not know yet that it is a member
  /// cannot know either which addresses it was given.
  func noteAddresses(of peer: NodeID, _ hello: Hello) {
    #if PLANTED_BUGS
    let isNews = raft.configuration.member(peer)?.raftAddress != hello.raftAddress
    if isNews, PlantedBug.movesUnrecorded.isActive { return }
    #endif
    guard let member = raft.configuration.member(peer),
      hello.sender.memberSince == member.memberSince, HostPort(hello.raftAddress) != nil,
      HostPort(hello.httpAddress) != nil
    else { return }
    advertised[peer] = Advertisement(
      said: Addresses(raft: hello.raftAddress, http: hello.httpAddress),
      recorded: RecordedAddresses(
        addresses: Addresses(member), index: raft.configurations.currentIndex),
      knownThrough: max(raft.commitIndex, commitMarks.newest))
    noteAddresses(of: peer)
  }

  /// What we say of ourselves.
  var ownAddresses: Addresses {
    givenAddresses?.addresses ?? Addresses(raft: settings.raftAddress, http: settings.httpAddress)
  }

  /// An entry that changes our addresses while we run is an operator's word, by `/join`, and counts
  /// more than our flags do, until the next start, or until it is taken back. One that was there
  /// before we started, and that we only catch up on, does not: said to others, our old address
  /// would be looked for there for as long as they are connected.
  func noteOwnAddresses(isStart: Bool) {
    guard let member = raft.configuration.member(raft.id) else { return }
    let record = RecordedAddresses(
      addresses: Addresses(member), index: raft.configurations.currentIndex)
    let last = recordedAddresses
    recordedAddresses = record
    if let given = givenAddresses, record.index < given.index { givenAddresses = nil }
    guard !isStart, last?.addresses != record.addresses, last?.index ?? .zero < record.index else {
      return
    }
    if last != nil, isHistory(record.index) { return CoverageMark.hit(.oldAddressesPassedOver) }
    givenAddresses = record
  }

  /// Whether an entry was in the log before we heard of any leader. A new leader does not know yet
  /// how much is committed, but then its term tells.
  private func isHistory(_ index: LogIndex) -> Bool {
    guard let firstContact else { return false }
    if index <= firstContact.commit { return true }
    return raft.outline.term(at: index).map { $0 < firstContact.term } ?? false
  }

  func forgetOldAdvertisements() {
    let index = raft.configurations.currentIndex
    for (peer, advertisement) in advertised {
      guard let member = raft.configuration.member(peer) else {
        advertised[peer] = nil
        continue
      }
      var advertisement = advertisement
      let record = RecordedAddresses(addresses: Addresses(member), index: index)
      let counts = advertisement.outlives(record) || isHistory(index)
      if !counts { CoverageMark.hit(.advertisementOutdated) }
      advertised[peer] = counts ? advertisement : nil
    }
  }

  /// A new leader looks at what every member has said of itself, and at what it says itself.
  func noteAllAddresses() {
    for member in raft.configuration.members { noteAddresses(of: member.id) }
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

  private func noteAddresses(of peer: NodeID) {
    let isOurs = peer == raft.id
    let said = isOurs ? ownAddresses : advertised[peer]?.said
    guard raft.role == .leader, let said, let member = raft.configuration.member(peer),
      Addresses(member) != said,
      administration.waiting.count < settings.maximumQueuedChanges
    else { return }
    administration.waiting.append(
      .update(
        Administration.Update(
          id: peer, raftAddress: said.raft, httpAddress: said.http,
          // Nobody needs to dial us to find us here.
          phase: isOurs ? .confirmed : .new)))
  }

  /// The new address is dialled first: only where the same incarnation answers is it recorded.
  func step(_ update: Administration.Update) {
    var update = update
    guard let member = raft.configuration.member(update.id) else {
      administration.current = nil
      return
    }
    switch update.phase {
    case .discovering: return
    case .confirmed:
      let change = Raft.Change.update(
        update.id, raftAddress: update.raftAddress, httpAddress: update.httpAddress)
      if (try? append(change)) != false { administration.current = nil }
    case .new:
      update.phase = .discovering
      administration.current = .update(update)
      let attempt = administration.attempt
      transport.discover(address: update.raftAddress, name: member.name) { [self] result in
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
