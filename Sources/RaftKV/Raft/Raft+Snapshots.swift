/// Snapshots (§7): taken by each node on its own, and sent to a follower that the log can no longer
/// serve.
extension Raft {
  // MARK: Our own

  /// A snapshot of ours is durable: the log up to it may go, but for a tail of `tailBytes` that
  /// keeps a follower a little behind from needing it (F2, F7).
  package mutating func didSaveSnapshot(
    _ info: SnapshotInfo, keepingTail tailBytes: Int, into effects: inout Effects
  ) {
    precondition(info.lastEntry.index <= applicableIndex, "a snapshot holds only what is committed")
    guard info.lastEntry.index > snapshot?.lastEntry.index ?? .zero else { return }
    snapshot = info
    let through = outline.firstIndexOfTail(endingAt: info.lastEntry.index, bytes: tailBytes)
      .previous
    guard through > outline.base.index else { return CoverageMark.hit(.tailKeepsAll) }
    outline.compact(through: through)
    configurations.compact(through: through)
    effects.logEdits.append(.compact(through: outline.base))
  }

  // MARK: Sending one

  mutating func beginSnapshot(to peer: Int, into effects: inout Effects) {
    guard let snapshot else { preconditionFailure("a compacted log has a snapshot") }
    precondition(snapshot.lastEntry.index >= outline.base.index, "no gap between snapshot and log")
    leadership!.progress[peer].becomeSnapshot(
      Progress.SnapshotProgress(
        lastEntry: snapshot.lastEntry, total: snapshot.total, offset: 0, sentAt: nil))
    effects.notices.append(.followerNeedsSnapshot(leadership!.progress[peer].id))
  }

  /// Sends the chunk that is due, one at a time. Once all were taken, the last one is due again: it
  /// asks whether the snapshot is installed, or was lost in a crash before it was.
  mutating func sendChunk(to peer: Int, at now: Instant) {
    guard case .snapshot(let snapshot) = leadership!.progress[peer].state, snapshot.sentAt == nil
    else { return }
    let limit = UInt64(parameters.snapshotChunkBytes)
    let isWhole = snapshot.offset == snapshot.total
    let offset = isWhole ? snapshot.total - min(limit, snapshot.total) : snapshot.offset
    let size = min(limit, snapshot.total - offset)
    leadership!.progress[peer].updateSnapshot { $0.sentAt = now }
    send(
      .snapshotChunk(
        SnapshotChunk(
          lastEntry: snapshot.lastEntry, offset: offset, size: UInt32(size),
          total: snapshot.total, round: leadership!.round)),
      to: leadership!.progress[peer].id)
  }

  mutating func receive(
    _ reply: SnapshotReply, from peer: Int, at now: Instant, into effects: inout Effects
  ) {
    leadership!.progress[peer].acknowledge(round: reply.round)
    guard case .snapshot(let snapshot) = leadership!.progress[peer].state,
      snapshot.lastEntry == reply.lastEntry, reply.offset <= snapshot.total,
      reply.offset != snapshot.offset
    else { return CoverageMark.hit(.chunkAnsweredTwice) }  // Or it is of another snapshot.
    if reply.offset < snapshot.offset { CoverageMark.hit(.snapshotBegunAgain) }
    if reply.offset > snapshot.offset { leadership!.progress[peer].catchUp.lastProgress = now }
    leadership!.progress[peer].updateSnapshot {
      $0.offset = reply.offset
      // After the last chunk the answer is an acknowledgement; give it time.
      $0.sentAt = reply.offset == $0.total ? now : nil
    }
  }

  /// The chunk or its answer may be lost: a chunk is repeated when it has not been answered for two
  /// election timeouts. The receiver's offset makes repetition harmless (F4).
  mutating func retrySnapshot(
    _ snapshot: Progress.SnapshotProgress, to peer: Int, at now: Instant
  ) {
    if snapshot.offset == snapshot.total {
      // It has every byte and answers heartbeats: it is checking and installing them.
      leadership!.progress[peer].catchUp.lastProgress = now
    }
    if let sentAt = snapshot.sentAt, now - sentAt > parameters.electionTimeout * 2 {
      #if PLANTED_BUGS
      if PlantedBug.chunkNeverRepeated.isActive { return }
      #endif
      CoverageMark.hit(.chunkRepeated)
      leadership!.progress[peer].updateSnapshot { $0.sentAt = nil }
    }
  }

  // MARK: Receiving one

  mutating func receive(_ chunk: SnapshotChunk, into effects: inout Effects) {
    roundHeard = max(roundHeard, chunk.round)
    // No more than a log may a snapshot hold a term above the durable one. It is sent again.
    guard chunk.lastEntry.term <= durableHardState.currentTerm else {
      return CoverageMark.hit(.chunkBeforeTerm)
    }
    if covers(chunk.lastEntry) {
      CoverageMark.hit(.chunkNotNeeded)
      incomingSnapshot = nil
      return
    }
    if incomingSnapshot?.lastEntry != chunk.lastEntry || incomingSnapshot?.total != chunk.total {
      if incomingSnapshot != nil { CoverageMark.hit(.snapshotOvertaken) }
      guard chunk.offset == 0 else {
        CoverageMark.hit(.chunkFromTheMiddle)
        return replySnapshot(chunk.lastEntry, offset: 0)
      }
      incomingSnapshot = IncomingSnapshot(
        lastEntry: chunk.lastEntry, total: chunk.total, offset: 0, isStoring: false)
    }
    guard !incomingSnapshot!.isStoring else {
      return CoverageMark.hit(.chunkWhileStoring)  // A repetition; its answer is on its way.
    }
    guard chunk.offset == incomingSnapshot!.offset else {
      CoverageMark.hit(.chunkOutOfOrder)
      return replySnapshot(chunk.lastEntry, offset: incomingSnapshot!.offset)
    }
    incomingSnapshot!.offset += UInt64(chunk.size)
    incomingSnapshot!.isStoring = true
    effects.logEdits.append(.storeChunk(chunk, isFirst: chunk.offset == 0))
  }

  /// A leader that finds its log to serve us after all sends no more of a snapshot that it has
  /// begun. Once the log has what that holds, it is given up: while one is coming none of our own
  /// is taken, and the log would grow for as long as the term lasts. One that has come whole is
  /// installed, or found to be late.
  mutating func giveUpOutrunSnapshot() {
    guard let incoming = incomingSnapshot, incoming.offset < incoming.total,
      outline.contains(incoming.lastEntry)
    else { return }
    CoverageMark.hit(.snapshotOutrun)
    incomingSnapshot = nil
  }

  /// Whether we have all that a snapshot up to `entry` holds; then its sender is told how far we
  /// agree, and the commit index moves with it: what a snapshot holds is committed (F3).
  private mutating func covers(_ entry: EntryID) -> Bool {
    #if PLANTED_BUGS
    let isAhead = entry.index > commitIndex && outline.contains(entry)
    if isAhead, PlantedBug.installDropsSuffix.isActive { return false }
    if entry.index < commitIndex, PlantedBug.installMovesBack.isActive { return false }
    #endif
    guard entry.index <= commitIndex || outline.contains(entry) else { return false }
    if entry.index > commitIndex { CoverageMark.hit(.snapshotCommitsLog) }
    commitIndex = max(commitIndex, entry.index)
    verifiedIndex = max(verifiedIndex, entry.index)
    owesAcknowledgement = true
    return true
  }

  /// The chunk ending at `offset` is in the incoming file. After the last one the driver checks the
  /// whole and calls `installSnapshot`, or `rejectSnapshot`.
  package mutating func didStoreChunk(of entry: EntryID, through offset: UInt64) {
    guard incomingSnapshot?.lastEntry == entry, incomingSnapshot?.offset == offset else { return }
    incomingSnapshot!.isStoring = offset == incomingSnapshot!.total
    replySnapshot(entry, offset: offset)
  }

  /// What came is not a sound snapshot, or could not be stored: begin again.
  package mutating func rejectSnapshot(_ entry: EntryID) {
    guard incomingSnapshot?.lastEntry == entry else { return }
    CoverageMark.hit(.snapshotRejected)
    incomingSnapshot = nil
    replySnapshot(entry, offset: 0)
  }

  private mutating func replySnapshot(_ entry: EntryID, offset: UInt64) {
    guard leader != .none, leader != id else { return }
    send(
      .snapshotReply(SnapshotReply(lastEntry: entry, offset: offset, round: roundHeard)),
      to: leader)
  }

  /// The received snapshot is checked and durable. Returns whether it takes the
  /// place of our log and state; if not, our log has moved past it meanwhile and the
  /// driver keeps its state (F3, F5).
  package mutating func installSnapshot(
    _ info: SnapshotInfo, configuration item: ConfigurationHistory.Item, at now: Instant,
    into effects: inout Effects
  ) -> Bool {
    if incomingSnapshot?.lastEntry == info.lastEntry { incomingSnapshot = nil }
    guard role != .leader, !covers(info.lastEntry) else {
      CoverageMark.hit(.installTooLate)
      return false
    }
    if lastIndex > outline.base.index { CoverageMark.hit(.installDropsLog) }
    outline.reset(to: info.lastEntry)
    configurations = ConfigurationHistory(base: item)
    snapshot = info
    commitIndex = info.lastEntry.index
    // The file is durable, and recovery prefers it to a log that lacks its last entry.
    persistedIndex = info.lastEntry.index
    for position in logWrites.indices {
      #if PLANTED_BUGS
      if PlantedBug.installForgetsWrites.isActive { break }
      #endif
      CoverageMark.hit(.installDuringWrite)
      logWrites[position].lastIndex = min(logWrites[position].lastIndex, persistedIndex)
    }
    verifiedIndex = info.lastEntry.index
    acknowledgedIndex = min(acknowledgedIndex, verifiedIndex)
    owesAcknowledgement = true
    effects.logEdits.append(.reset(to: info.lastEntry))
    hasUnwrittenEdits = true
    didChangeConfiguration(into: &effects)
    // We may have campaigned, as a voter that is none any more (D15).
    stopCampaigning(at: now, into: &effects)
    return true
  }
}

extension LogOutline {
  /// The first index of the longest tail that ends at `end` and has at most `bytes`; `end.next` if
  /// not even the last entry fits.
  func firstIndexOfTail(endingAt end: LogIndex, bytes: Int) -> LogIndex {
    var low = firstIndex
    var high = end.next
    while low < high {
      let middle = LogIndex((low.rawValue + high.rawValue) / 2)
      if self.bytes(after: middle.previous, through: end) <= bytes {
        high = middle
      } else {
        low = middle.next
      }
    }
    return low
  }
}
