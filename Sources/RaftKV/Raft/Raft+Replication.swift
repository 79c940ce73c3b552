/// A leader's half of log replication (§5.3, §5.4.2).
extension Raft {
  /// Why a proposal was not accepted. It was not appended: the client may
  /// safely try elsewhere (I1).
  package enum Refusal: Error, Equatable, Sendable {
    case notLeader
    /// Leadership is being handed over (E1, E5).
    case transferring
    /// Too many bytes wait to be committed (B14).
    case overloaded
    /// Another configuration change is under way, or this term has committed nothing yet (D1).
    case configurationPending
    case unknownMember
    case tooManyMembers
    /// The change would leave no voter.
    case lastVoter
  }

  /// Appends a command of `size` payload bytes. The driver puts its bytes into the log at once.
  package mutating func propose(size: Int) throws(Refusal) -> EntryID {
    guard let leadership else { throw .notLeader }
    #if PLANTED_BUGS
    let mayAppend = leadership.transfer == nil || PlantedBug.transferRefusesAppended.isActive
    #else
    let mayAppend = leadership.transfer == nil
    #endif
    guard mayAppend else {
      CoverageMark.hit(.proposedDuringTransfer)
      throw .transferring
    }
    let uncommitted = outline.bytes(after: commitIndex, through: lastIndex)
    let isTooMuch = uncommitted > 0 && uncommitted + size > parameters.uncommittedBytes
    #if PLANTED_BUGS
    let isRefused = isTooMuch && !PlantedBug.noUncommittedLimit.isActive
    #else
    let isRefused = isTooMuch
    #endif
    if isRefused {
      CoverageMark.hit(.tooMuchUncommitted)
      throw .overloaded
    }
    outline.append(term: currentTerm, size: size)
    hasUnwrittenEdits = true
    return outline.lastEntry
  }

  enum OwnEntry {
    case noop
    case configuration(Configuration, size: Int)
  }

  /// Appends an entry that the engine itself makes.
  mutating func appendOwn(_ entry: OwnEntry, into effects: inout Effects) {
    hasUnwrittenEdits = true
    switch entry {
    case .noop:
      outline.append(term: currentTerm, size: 0)
      effects.logEdits.append(.appendNoop(outline.lastEntry))
    case .configuration(let configuration, let size):
      outline.append(term: currentTerm, size: size)
      configurations.append(configuration, at: lastIndex)
      effects.logEdits.append(.appendConfiguration(outline.lastEntry, configuration))
      didChangeConfiguration(into: &effects)
    }
  }

  func makeProgress(of peer: NodeID, at now: Instant) -> Progress {
    Progress(id: peer, lastIndex: lastIndex, isConnected: connected.contains(peer), at: now)
  }

  // MARK: Answers

  mutating func receive(
    _ reply: AppendReply, from peer: Int, at now: Instant, into effects: inout Effects
  ) {
    leadership!.progress[peer].acknowledge(round: reply.round)
    switch reply.outcome {
    case .matched(let index): didMatch(index, peer, at: now, into: &effects)
    case .conflict(let previous, let hint): didConflict(at: previous, hint: hint, peer)
    case .full(let previous): didFindFull(at: previous, peer)
    }
  }

  /// It gets no more until a heartbeat's answer says that there is room, or it connects again.
  private mutating func didFindFull(at previous: LogIndex, _ peer: Int) {
    CoverageMark.hit(.followerIsFull)
    leadership!.progress[peer].isFull = true
    switch leadership!.progress[peer].state {
    case .snapshot: return
    case .replicate: leadership!.progress[peer].becomeProbe()
    case .probe: guard leadership!.progress[peer].isOfProbe(previous) else { return }
    }
    leadership!.progress[peer].didRefuse(after: previous)
  }

  private mutating func didMatch(
    _ index: LogIndex, _ peer: Int, at now: Instant, into effects: inout Effects
  ) {
    guard index <= lastIndex else { return }  // Not of this log; never count it (B5).
    let hasMoved = leadership!.progress[peer].acknowledge(through: index, at: now)
    switch leadership!.progress[peer].state {
    // It says how much it has before that.
    case .probe where leadership!.progress[peer].refusesNext: break
    case .probe: leadership!.progress[peer].becomeReplicate()
    case .snapshot(let snapshot)
    where leadership!.progress[peer].matchIndex
      >= min(outline.base.index, snapshot.lastEntry.index):
      // From here the log itself serves it; or, if that was compacted meanwhile, a newer snapshot.
      CoverageMark.hit(.logServesAfterSnapshot)
      leadership!.progress[peer].becomeReplicate()
      // Chunks do not say how far the log is committed. If no entry follows to say so, none does.
      if leadership!.progress[peer].nextIndex > lastIndex {
        sendEntries(to: peer, through: lastIndex)
      }
    case .snapshot, .replicate: break
    }
    guard hasMoved else { return }
    advanceCommitIndex(at: now, into: &effects)
    sendTimeoutNowIfCaughtUp()
  }

  private mutating func didConflict(at previous: LogIndex, hint: EntryID, _ peer: Int) {
    // A refusal at or below what is known to match is old (B5).
    guard previous > leadership!.progress[peer].matchIndex else {
      return CoverageMark.hit(.refusalTooOld)
    }
    switch leadership!.progress[peer].state {
    case .snapshot: return
    case .replicate:
      CoverageMark.hit(.refusedWhileReplicating)
      leadership!.progress[peer].becomeProbe()
    case .probe:
      guard previous == leadership!.progress[peer].nextIndex.previous else {
        return CoverageMark.hit(.refusalOfEarlierProbe)
      }
    }
    if hint.index < outline.base.index { CoverageMark.hit(.refusalBelowBase) }
    #if PLANTED_BUGS
    if hint.index <= outline.base.index, PlantedBug.probeStopsAtBase.isActive {
      return leadership!.progress[peer].probe(after: outline.base.index)
    }
    #endif
    // Below our base there is nothing to compare: it needs a snapshot.
    let agreed =
      hint.index < outline.base.index
      ? hint.index
      : outline.lastEntry(atOrBefore: hint.index, termAtMost: hint.term).index
    // Each refusal moves the probe down, so probing ends (B12).
    leadership!.progress[peer].probe(after: min(agreed, previous.previous))
  }

  mutating func receive(
    _ reply: HeartbeatReply, from peer: Int, at now: Instant, into effects: inout Effects
  ) {
    leadership!.progress[peer].acknowledge(round: reply.round)
    leadership!.progress[peer].isFull = reply.isFull
    switch leadership!.progress[peer].state {
    case .probe:
      #if PLANTED_BUGS
      if PlantedBug.probeNeverRetried.isActive { return }
      #endif
      // A disk that is still full would refuse once more what it has refused.
      if !reply.isFull { leadership!.progress[peer].refusedAfter = nil }
      guard leadership!.progress[peer].refusedAfter == nil else { return }
      // The probe or its answer may have been lost (B13): this heartbeat left after it.
      leadership!.progress[peer].retryProbe(before: reply.round)
    case .replicate:
      #if PLANTED_BUGS
      let sent = leadership!.progress[peer].nextIndex.previous
      if sent > leadership!.progress[peer].matchIndex, PlantedBug.heartbeatAcknowledges.isActive {
        return didMatch(sent, peer, at: now, into: &effects)
      }
      #endif
      // Likewise for entries in flight: an empty AppendEntries behind them shows a gap, if there is
      // one. If they were compacted in this very turn, its end begins a snapshot.
      guard leadership!.progress[peer].matchIndex < lastIndex,
        leadership!.progress[peer].wasAllSent(before: reply.round),
        leadership!.progress[peer].nextIndex > outline.base.index
      else { return }
      #if PLANTED_BUGS
      if PlantedBug.gapNeverSeen.isActive { return }
      #endif
      CoverageMark.hit(.gapProbed)
      sendEntries(to: peer, through: leadership!.progress[peer].nextIndex.previous)
    case .snapshot(let snapshot):
      retrySnapshot(snapshot, to: peer, at: now)
    }
  }

  // MARK: Commit

  /// "If there exists an N > commitIndex such that a majority of matchIndex[i] >= N and log[N].term
  /// == currentTerm: set commitIndex = N" (Figure 2).
  mutating func advanceCommitIndex(at now: Instant, into effects: inout Effects) {
    #if PLANTED_BUGS
    let isBehind = persistedIndex < lastIndex
    let ownIndex =
      isBehind && PlantedBug.leaderCountsUnsynced.isActive ? lastIndex : persistedIndex
    let hasLearners = configuration.voterCount < configuration.members.count
    let counted =
      hasLearners && PlantedBug.learnersCount.isActive
      ? configuration.members.map(\.id) : configuration.voters
    #else
    let ownIndex = persistedIndex
    let counted = configuration.voters
    #endif
    // We count ourselves by our own disk, like anyone else (B9); learners not at all (D15).
    let progress = leadership!.progress
    let candidate = Quorum(counted).agreed { voter in
      voter == id ? ownIndex : progress.matchIndex(of: voter)
    }
    guard let candidate, candidate > commitIndex else { return }
    // Only entries of our own term are committed by counting (§5.4.2); older ones ride along (B6).
    #if PLANTED_BUGS
    let mayCount = outline.term(at: candidate) == currentTerm || PlantedBug.oldTermCommit.isActive
    #else
    let mayCount = outline.term(at: candidate) == currentTerm
    #endif
    guard mayCount else { return CoverageMark.hit(.oldTermNotCounted) }
    let previous = commitIndex
    commitIndex = candidate
    if configurations.currentIndex > previous, configurations.currentIndex <= commitIndex {
      didCommitConfiguration(into: &effects)
    }
  }

  // MARK: Sending

  /// Sends `peer` what it lacks and has room for. Called once a turn.
  mutating func replicate(to peer: Int, at now: Instant, into effects: inout Effects) {
    guard leadership!.progress[peer].isConnected else { return }
    if case .snapshot = leadership!.progress[peer].state { return sendChunk(to: peer, at: now) }
    // The entry before the first one we would send is gone: only a snapshot can help.
    if leadership!.progress[peer].nextIndex <= outline.base.index {
      beginSnapshot(to: peer, into: &effects)
      return sendChunk(to: peer, at: now)
    }
    if leadership!.progress[peer].state == .probe {
      guard !leadership!.progress[peer].isProbeSent else { return }
      let last = batchEnd(after: leadership!.progress[peer].nextIndex.previous)
      sendEntries(to: peer, through: last)
      leadership!.progress[peer].didProbe(through: last, round: leadership!.round)
      return
    }
    #if PLANTED_BUGS
    let window = PlantedBug.windowIgnored.isActive ? .max : parameters.windowMessages
    #else
    let window = parameters.windowMessages
    #endif
    while leadership!.progress[peer].nextIndex <= lastIndex,
      leadership!.progress[peer].bytesInFlight < parameters.windowBytes,
      leadership!.progress[peer].messagesInFlight < window
    {
      sendEntries(to: peer, through: batchEnd(after: leadership!.progress[peer].nextIndex.previous))
    }
    if leadership!.progress[peer].nextIndex <= lastIndex { CoverageMark.hit(.windowIsFull) }
    // A commit that no entries carry is told at once: followers serve reads too.
    let commit = min(commitIndex, leadership!.progress[peer].matchIndex)
    if leadership!.progress[peer].commitSent < commit { sendHeartbeat(to: peer) }
  }

  private func batchEnd(after index: LogIndex) -> LogIndex {
    guard index < lastIndex else { return index }
    return outline.lastIndex(after: index, through: lastIndex, bytes: parameters.maximumAppendBytes)
  }

  /// One AppendEntries with the entries from `nextIndex` through `last`; none, to probe.
  mutating func sendEntries(to peer: Int, through last: LogIndex) {
    let previous = leadership!.progress[peer].nextIndex.previous
    let bytes = outline.bytes(after: previous, through: last)
    send(
      .append(
        AppendRequest(
          previous: EntryID(index: previous, term: outline.term(at: previous)!),
          leaderCommit: commitIndex, round: leadership!.round, count: last - previous)),
      to: leadership!.progress[peer].id)
    leadership!.progress[peer].commitSent = min(commitIndex, last)
    guard last > previous else { return }
    leadership!.progress[peer].didSend(through: last, bytes: bytes, round: leadership!.round)
  }

  mutating func sendHeartbeat(to peer: Int) {
    #if PLANTED_BUGS
    let match =
      PlantedBug.heartbeatCommitsAll.isActive
      ? commitIndex : leadership!.progress[peer].matchIndex
    #else
    let match = leadership!.progress[peer].matchIndex
    #endif
    let commit = min(commitIndex, match)
    leadership!.progress[peer].commitSent = commit
    send(
      .heartbeat(Heartbeat(commit: commit, round: leadership!.round)),
      to: leadership!.progress[peer].id)
  }

  // MARK: Connections

  /// A message connection to `peer` is up. What was on its way on an older one may be lost.
  package mutating func didConnect(_ peer: NodeID, at now: Instant) {
    if !connected.contains(peer) { connected.append(peer) }
    // What we acknowledged on an older one it may not have heard.
    if peer == leader { acknowledgedIndex = .zero }
    guard role == .leader else { return askAgain(peer) }
    // A learner that was given up while it was away asks for no votes,
    // and would not hear of it else.
    guard let index = leadership?.index(of: peer) else { return tellRemoved(peer) }
    leadership!.progress[index].isConnected = true
    restart(index)
    leadership!.heartbeatDue = min(leadership!.heartbeatDue, now)
  }

  package mutating func didDisconnect(_ peer: NodeID, at now: Instant) {
    connected.removeAll { $0 == peer }
    guard let index = leadership?.index(of: peer) else { return }
    leadership!.progress[index].isConnected = false
    restart(index)
  }

  private mutating func restart(_ peer: Int) {
    if case .snapshot = leadership!.progress[peer].state {
      CoverageMark.hit(.reconnectedDuringSnapshot)
      leadership!.progress[peer].updateSnapshot { $0.sentAt = nil }
    } else {
      leadership!.progress[peer].becomeProbe()
    }
  }
}
