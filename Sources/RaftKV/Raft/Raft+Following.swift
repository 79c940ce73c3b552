/// A follower's half of log replication (§5.3).
extension Raft {
  /// AppendEntries. The acknowledgement waits for the disk; see `acknowledgeIfDurable`.
  mutating func receive(_ request: AppendRequest, into effects: inout Effects) {
    roundHeard = max(roundHeard, request.round)
    let count = request.entries.count
    let previous = request.previous
    // Where our log begins, everything is committed and so agrees with every leader's log.
    let skipped = max(0, min(count, outline.base.index - previous.index))
    if skipped > 0 { CoverageMark.hit(.appendBelowBase) }
    #if PLANTED_BUGS
    let isKnown =
      outline.contains(previous)
      || previous.index <= lastIndex && PlantedBug.previousByIndexAlone.isActive
    if !isKnown, request.leaderCommit > commitIndex, PlantedBug.refusalCommits.isActive {
      commitIndex = max(commitIndex, min(request.leaderCommit, lastIndex))
    }
    #else
    let isKnown = outline.contains(previous)
    #endif
    if previous.index >= outline.base.index, !isKnown { return refuse(previous) }
    // Skip what we have. Only a real conflict truncates: this message may be old, and a prefix
    // of what came after it (B1).
    var first = skipped
    while first < count,
      outline.term(at: previous.index + (first + 1)) == request.entries[first].term
    {
      first += 1
    }
    if count > 0, first == count { CoverageMark.hit(.appendKnownAlready) }
    #if PLANTED_BUGS
    let isBeyondCommit = previous.index >= commitIndex && first > skipped
    if isBeyondCommit, PlantedBug.truncatesAlways.isActive { first = skipped }
    #endif
    // The last of the room is for what keeps the cluster going.
    var end = count
    if storage == .full {
      end = request.entries[first...].firstIndex { $0.kind == .command } ?? count
    }
    if first < end {
      append(request.entries[first..<end], after: previous.index + first, into: &effects)
    }
    let last = previous.index + end
    verifiedIndex = max(verifiedIndex, last)
    // Only what this message vouches for may be committed by it (B4).
    if request.leaderCommit > last { CoverageMark.hit(.commitBeyondMessage) }
    commitIndex = max(commitIndex, min(request.leaderCommit, last))
    #if PLANTED_BUGS
    if min(request.leaderCommit, lastIndex) > last, PlantedBug.commitUnchecked.isActive {
      commitIndex = max(commitIndex, min(request.leaderCommit, lastIndex))
    }
    #endif
    if end == count {
      owesAcknowledgement = true
    } else {
      CoverageMark.hit(.appendRefusedFull)
      let outcome = AppendReply.Outcome.full(previous: last)
      send(.appendReply(AppendReply(outcome: outcome, round: roundHeard)), to: leader)
      // What it has is acknowledged once: to some leaders that means that there is room.
      owesAcknowledgement = owesAcknowledgement || last > acknowledgedIndex
    }
    giveUpOutrunSnapshot()
  }

  private mutating func append(
    _ entries: ArraySlice<EntryHeader>, after index: LogIndex, into effects: inout Effects
  ) {
    if index < lastIndex {
      CoverageMark.hit(.conflictTruncated)
      truncate(after: index, into: &effects)
    }
    var isConfigurationNew = false
    for entry in entries {
      outline.append(term: entry.term, size: Int(entry.size))
      guard let configuration = entry.configuration else { continue }
      configurations.append(configuration, at: lastIndex)
      isConfigurationNew = true
    }
    effects.logEdits.append(.appendReceived(first: entries.startIndex, count: entries.count))
    hasUnwrittenEdits = true
    // In force from now on, committed or not (D2).
    if isConfigurationNew { didChangeConfiguration(into: &effects) }
  }

  /// Our log lacks `previous`. A refusal advances nothing (B7); its hint lets the leader skip a
  /// whole term at a time (B12).
  private mutating func refuse(_ previous: EntryID) {
    precondition(previous.index > commitIndex, "a leader's log lacks what is committed here")
    CoverageMark.hit(previous.index > lastIndex ? .appendBehindGap : .appendOnConflict)
    let hint = outline.lastEntry(atOrBefore: previous.index, termAtMost: previous.term)
    let outcome = AppendReply.Outcome.conflict(previous: previous.index, hint: hint)
    send(.appendReply(AppendReply(outcome: outcome, round: roundHeard)), to: leader)
  }

  mutating func receive(_ heartbeat: Heartbeat) {
    roundHeard = max(roundHeard, heartbeat.round)
    // The leader told only what it knows to match; we believe it only as far as we verified that
    // ourselves in this term (B4).
    if heartbeat.commit > verifiedIndex { CoverageMark.hit(.heartbeatCommitUnverified) }
    commitIndex = max(commitIndex, min(heartbeat.commit, verifiedIndex))
    #if PLANTED_BUGS
    if PlantedBug.heartbeatCommitsAll.isActive {
      commitIndex = max(commitIndex, min(heartbeat.commit, lastIndex))
    }
    #endif
    // A round is answered once; a heartbeat that repeats it tells of a commit, and asks nothing.
    guard heartbeat.round > roundAnswered else { return }
    roundAnswered = heartbeat.round
    let reply = HeartbeatReply(round: heartbeat.round, isFull: storage != .healthy)
    send(.heartbeatReply(reply), to: leader)
  }

  /// What we may acknowledge is what the leader's messages vouched for and our disk has: never
  /// simply our own last index (B3), and never an entry that a crash could take (G1).
  mutating func acknowledgeIfDurable() {
    guard owesAcknowledgement, leader != .none, leader != id else { return }
    #if PLANTED_BUGS
    let match =
      verifiedIndex < persistedIndex && PlantedBug.acknowledgesOwnLast.isActive
      ? persistedIndex
      : verifiedIndex > persistedIndex && PlantedBug.acknowledgesUnsynced.isActive
        ? verifiedIndex : min(verifiedIndex, persistedIndex)
    #else
    let match = min(verifiedIndex, persistedIndex)
    #endif
    guard match > acknowledgedIndex || match == verifiedIndex else { return }
    acknowledgedIndex = match
    owesAcknowledgement = match < verifiedIndex
    send(.appendReply(AppendReply(outcome: .matched(match), round: roundHeard)), to: leader)
  }
}
