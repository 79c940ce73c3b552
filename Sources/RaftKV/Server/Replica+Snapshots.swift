/// Snapshots: written from a frozen state while writes go on, sent to followers chunk by chunk, and
/// received from the leader. All in slices, so that heartbeats and reads go on (F6).

/// A snapshot of our own on its way to the disk.
final class OutgoingSnapshot<D: Disk> {
  let writer: SnapshotWriter<D>
  var encoder: SnapshotEncoder
  var buffer = ByteBuffer()
  var isEncoded = false

  init(_ encoder: SnapshotEncoder, _ writer: SnapshotWriter<D>) {
    self.encoder = encoder
    self.writer = writer
  }
}

/// A snapshot that the leader is sending: checked as it comes, and written beside.
final class IncomingSnapshot<D: Disk> {
  let lastEntry: EntryID
  let total: UInt64
  let writer: SnapshotWriter<D>
  var decoder = SnapshotDecoder()
  /// The chunk that waits for the file to be opened or written.
  var chunk = ByteBuffer()
  /// Bytes stored or being stored.
  var offset = 0

  init(_ chunk: SnapshotChunk, _ writer: SnapshotWriter<D>) {
    lastEntry = chunk.lastEntry
    total = chunk.total
    self.writer = writer
  }
}

extension Replica {
  /// What a turn does for snapshots, after everything else.
  func stepSnapshots() {
    adoptFinishedSnapshot()
    closeSent()
    if incoming != nil, raft.incomingSnapshot == nil { abandonIncoming() }
    if outgoing != nil { return encodeSlice() }
    if isSnapshotDue { beginSnapshot() }
  }

  func stepDismantling() {
    guard !dismantler.isEmpty else { return }
    // About a millisecond's worth of entries.
    if !dismantler.step(budget: 4096) { requestAnotherTurn() }
  }

  // MARK: Our own

  /// "A snapshot is due when both are reached": enough entries, and enough bytes to be worth one. A
  /// full disk makes it due at once: it is what frees space. One that is older than what is on our
  /// disk would be written in vain, again and again, and no other could be received meanwhile.
  private var isSnapshotDue: Bool {
    guard snapshots.isIdle, incoming == nil, !hasFailed, now >= nextSnapshotAttempt,
      !hasSnapshotAhead
    else { return false }
    let last = raft.snapshot?.lastEntry.index ?? .zero
    guard appliedIndex > max(last, raft.outline.base.index) else { return false }
    let bytes = raft.outline.bytes(after: max(last, raft.outline.base.index), through: appliedIndex)
    if bytes >= settings.snapshotBytesLimit || raft.storage == .full { return true }
    let wanted = max(settings.snapshotBytes, Int(raft.snapshot?.total ?? 0))
    return bytes >= wanted && appliedIndex - last >= settings.snapshotEntries
  }

  private func beginSnapshot() {
    let needsBallast = raft.storage == .full || hasLackedSpace
    // Not a second time while the ballast is being removed.
    if needsBallast { nextSnapshotAttempt = now + settings.snapshotRetry }
    let lastEntry = EntryID(index: appliedIndex, term: raft.outline.term(at: appliedIndex)!)
    #if PLANTED_BUGS
    let isBehind = raft.configurations.currentIndex > appliedIndex
    let isNewest = isBehind && PlantedBug.snapshotHasNewestConfiguration.isActive
    let item = ConfigurationHistory.Item(
      index: raft.configurations.item(at: appliedIndex).index,
      configuration: isNewest
        ? raft.configuration : raft.configurations.item(at: appliedIndex).configuration)
    #else
    let item = raft.configurations.item(at: appliedIndex)
    #endif
    let metadata = SnapshotMetadata(
      clusterID: identity.cluster, lastEntry: lastEntry, configuration: item.configuration,
      configurationIndex: item.index)
    // Frozen here, in O(1); writes go on in copies of what they touch.
    let encoder = SnapshotEncoder(store.snapshot(), metadata)
    let begin = { [self] in
      guard snapshots.isIdle, outgoing == nil else {
        CoverageMark.hit(.snapshotForestalled)
        return log.takeBackBallast()
      }
      let writer = snapshots.beginWriting(lastEntry) { [unowned self] in didWriteSlice($0) }
      outgoing = OutgoingSnapshot(encoder, writer)
      logger.info("takes a snapshot of \(lastEntry)")
    }
    // A full disk: the ballast makes room for it.
    if needsBallast { log.releaseBallast(begin) } else { begin() }
  }

  private func encodeSlice() {
    // A busy writer's completion brings the next turn.
    guard let outgoing, outgoing.writer.isReady else { return }
    if outgoing.isEncoded {
      return outgoing.writer.finish { [unowned self] in didFinishSnapshot($0) }
    }
    outgoing.buffer.clear()
    outgoing.isEncoded = outgoing.encoder.encode(
      into: &outgoing.buffer, budget: settings.snapshotSliceBytes)
    let isTaken = outgoing.writer.append(
      outgoing.buffer.readable, at: outgoing.writer.offset
    ) { [unowned self] in didWriteSlice($0) }
    precondition(isTaken, "a ready writer takes the next slice")
  }

  private func didWriteSlice(_ error: DiskError?) {
    guard let error else { return }
    let wait = settings.snapshotRetry
    logger.warning(
      "the snapshot could not be written: \(error); it is tried again in "
        + "\(wait.milliseconds / 1000) s")
    nextSnapshotAttempt = clock() + wait
    CoverageMark.hit(.snapshotNotWritten)
    hasLackedSpace = error.isNoSpace
    freeOutgoing()
    log.takeBackBallast()
  }

  private func didFinishSnapshot(_ error: DiskError?) {
    if error != nil { return didWriteSlice(error) }
    hasLackedSpace = false
    metrics.snapshotsTaken &+= 1
    adoptFinishedSnapshot()
    dropOutgoing()
  }

  /// No space is kept for it any more.
  private func dropOutgoing() {
    if freeOutgoing() { log.resumePreparation() }
  }

  /// Returns whether there was one.
  @discardableResult
  private func freeOutgoing() -> Bool {
    guard let over = outgoing else { return false }
    outgoing = nil
    dismantler.take(over.encoder.state.map)
    return true
  }

  /// The engine learns of the newest durable snapshot, and lets the log before it go. Not before
  /// our own log has reached it: a received snapshot may be ahead of what we have applied.
  private func adoptFinishedSnapshot() {
    guard let file = snapshots.current, file.lastEntry != raft.snapshot?.lastEntry,
      file.lastEntry.index <= min(appliedIndex, raft.applicableIndex),
      file.lastEntry.index > raft.snapshot?.lastEntry.index ?? .zero
    else { return }
    // On a full disk every byte counts more than a follower's convenience.
    let tail = raft.storage == .full ? 0 : settings.keptTailBytes
    raft.didSaveSnapshot(
      Raft.SnapshotInfo(lastEntry: file.lastEntry, total: UInt64(file.size)), keepingTail: tail,
      into: &effects)
    adopted = file
    performLogEdits()
    logger.info("has a snapshot of \(file.lastEntry), \(file.size) bytes")
  }

  /// A received snapshot is on our disk, and we have not applied that far: the log was faster than
  /// its installation. For so long the one that the engine knows is the one before.
  package var hasSnapshotAhead: Bool {
    snapshots.current?.lastEntry.index ?? .zero > raft.snapshot?.lastEntry.index ?? .zero
  }

  // MARK: Sending one

  func sendChunk(_ envelope: Envelope, _ chunk: SnapshotChunk) {
    let file = snapshotFile(chunk.lastEntry, for: envelope.to)
    chunkReads.didBegin(at: clock())
    file.read(at: Int(chunk.offset), count: Int(chunk.size)) { [weak self] result in
      guard let self else { return }
      chunkReads.didEnd(at: clock())
      guard !hasFailed, raft.role == .leader, raft.currentTerm == envelope.term else {
        return
      }
      switch result {
      case .success(let bytes):
        precondition(bytes.count == Int(chunk.size), "the engine knows the file's size")
        transport.send(envelope, report: nil, payload: bytes)
      case .failure(let error): fail("the snapshot cannot be read: \(error)", .diskFailure)
      }
    }
  }

  /// A file that nobody is being sent any more is closed, and its space freed if it was replaced.
  private func closeSent() {
    guard !sending.isEmpty else { return }
    for peer in sending.keys.sorted() {
      if case .snapshot(let snapshot)? = raft.leadership?.progress(of: peer)?.state,
        snapshot.lastEntry == sending[peer]?.lastEntry
      {
        continue
      }
      sending[peer] = nil
    }
  }

  /// The engine begins with the snapshot that it knows, and its first chunk leaves in that turn;
  /// from then on the receiver has the file, whatever is adopted meanwhile.
  private func snapshotFile(_ lastEntry: EntryID, for peer: NodeID) -> SnapshotFile<D> {
    if let file = sending[peer], file.lastEntry == lastEntry { return file }
    guard let adopted, adopted.lastEntry == lastEntry else {
      preconditionFailure("what the engine knows is kept until it knows a newer one")
    }
    sending[peer] = adopted
    return adopted
  }

  // MARK: Receiving one

  /// The next chunk of a snapshot; the engine has checked that it is.
  func store(_ bytes: UnsafeRawBufferPointer, of chunk: SnapshotChunk, isFirst: Bool) {
    if isFirst { beginIncoming(chunk) }
    guard incoming?.lastEntry == chunk.lastEntry, bytes.count == Int(chunk.size) else {
      return raft.rejectSnapshot(chunk.lastEntry)
    }
    do throws(SnapshotError) {
      try incoming!.decoder.feed(bytes)  // Checked before it replaces anything (F4).
    } catch {
      logger.warning("the snapshot being received is not sound: \(error)")
      return rejectIncoming()
    }
    incoming!.chunk.clear()
    incoming!.chunk.append(bytes)
    writeChunk()
  }

  private func beginIncoming(_ chunk: SnapshotChunk) {
    abandonIncoming()
    if outgoing != nil { CoverageMark.hit(.ownSnapshotGivenUp) }
    outgoing?.writer.abandon()
    dropOutgoing()
    // What is being abandoned frees the writer in a moment; the leader repeats the chunk after two
    // election timeouts. One of our own that began before that would only be given up again.
    guard snapshots.isIdle else {
      nextSnapshotAttempt = max(nextSnapshotAttempt, now + settings.parameters.electionTimeout * 4)
      return CoverageMark.hit(.writerStillBusy)
    }
    logger.info("receives a snapshot of \(chunk.lastEntry), \(chunk.total) bytes")
    let writer = snapshots.beginWriting(chunk.lastEntry, limit: Int(chunk.total)) {
      [unowned self] error in
      guard incoming?.lastEntry == chunk.lastEntry else { return }
      if let error { return incomingFailed(error) }
      writeChunk()
    }
    incoming = IncomingSnapshot(chunk, writer)
  }

  /// Writes the waiting chunk, once the file is open.
  private func writeChunk() {
    guard incoming!.writer.isReady, !incoming!.chunk.isEmpty else { return }
    let lastEntry = incoming!.lastEntry
    let isTaken = incoming!.writer.append(
      incoming!.chunk.readable, at: incoming!.offset
    ) { [unowned self] error in
      guard incoming?.lastEntry == lastEntry else { return }
      if let error { return incomingFailed(error) }
      didStoreChunk()
    }
    guard isTaken else { return rejectIncoming() }
    incoming!.offset += incoming!.chunk.count
    incoming!.chunk.clear()
  }

  private func didStoreChunk() {
    raft.didStoreChunk(of: incoming!.lastEntry, through: UInt64(incoming!.offset))
    guard UInt64(incoming!.offset) == incoming!.total else { return }
    let state: KeyValueState
    do throws(SnapshotError) { state = try incoming!.decoder.finish() } catch {
      logger.warning("the received snapshot is not sound: \(error)")
      return rejectIncoming()
    }
    guard let metadata = incoming!.decoder.metadata, metadata.lastEntry == incoming!.lastEntry,
      metadata.clusterID == identity.cluster, metadata.configuration.isSound
    else {
      logger.warning("the received snapshot is of another cluster or entry, or of no cluster")
      dismantler.take(state.map)
      return rejectIncoming()
    }
    #if PLANTED_BUGS
    if PlantedBug.installBeforeDurable.isActive {
      let writer = incoming!.writer
      install(state, metadata)
      return writer.finish { [unowned self] _ in adopted = writer.published ?? adopted }
    }
    #endif
    incoming!.writer.finish { [unowned self] error in
      if let error { return incomingFailed(error) }
      install(state, metadata)
    }
  }

  private func install(_ state: KeyValueState, _ metadata: SnapshotMetadata) {
    guard let received = incoming else { return dismantler.take(state.map) }
    incoming = nil
    guard metadata.configuration.isUnderstood else {
      dismantler.take(state.map)
      return failBeyondUs(metadata.lastEntry)
    }
    now = clock()
    let isInstalled = raft.installSnapshot(
      Raft.SnapshotInfo(lastEntry: metadata.lastEntry, total: received.total),
      configuration: ConfigurationHistory.Item(
        index: metadata.configurationIndex, configuration: metadata.configuration),
      at: now, into: &effects)
    // Not always the newest: one of another leader may be ahead that was given up too late.
    if isInstalled { adopted = received.writer.published }
    performLogEdits()
    guard isInstalled, state.appliedIndex > appliedIndex else {
      CoverageMark.hit(.stateNotNeeded)
      return dismantler.take(state.map)
    }
    store.install(state, releasing: &dismantler)
    log.appliedIndex = appliedIndex
    divergence.forget()
    metrics.snapshotsInstalled &+= 1
    logger.info("installed the snapshot of \(metadata.lastEntry)")
  }

  private func incomingFailed(_ error: DiskError) {
    CoverageMark.hit(.receivedNotWritten)
    logger.warning("the snapshot being received could not be written: \(error)")
    rejectIncoming()
  }

  private func rejectIncoming() {
    guard let lastEntry = incoming?.lastEntry else { return }
    abandonIncoming()
    raft.rejectSnapshot(lastEntry)
  }

  private func abandonIncoming() {
    guard let over = incoming else { return }
    incoming = nil
    over.writer.abandon()
    over.decoder.abandon(to: &dismantler)
  }
}
