/// The log lane: one write in flight, in the order of batches.
extension LogStore {
  /// Writes the next batch, if there is one that was flushed and nothing stands against it.
  func pump() {
    #if PLANTED_BUGS
    let mustWait = isHeld && !PlantedBug.logBeforeTerm.isActive
    #else
    let mustWait = isHeld
    #endif
    if mustWait, !queue.isEmpty { CoverageMark.hit(.logWaitsForTerm) }
    guard !hasFailed, !mustWait, writing == nil, let batch = queue.first, let ticket = tickets.last,
      batch.sequence <= ticket.sequence, makeRoom(LogFormat.padded(batch.length))
    else { return }
    queue.removeFirst()
    sealDeadline = nil
    write(batch)
  }

  /// Since when the disk owes what the log waits for: the write under way or, where no segment has
  /// room for the next one, the present step in preparing another; or any of the reads under way.
  /// A leader that followers wait for may have no write to tell it that its disk hangs. Nil while
  /// there is none of these; a full disk is no stalled one.
  package var stalledSince: Instant? {
    let write = oldestWriteStart ?? (isWaitingForSegment ? preparer.stepStart : nil)
    return .earlier(write, reads.stalledSince)
  }

  private var isWaitingForSegment: Bool {
    guard writing == nil, !isHeld, let batch = queue.first, let ticket = tickets.last else {
      return false
    }
    return batch.sequence <= ticket.sequence && current.room < LogFormat.padded(batch.length)
  }

  /// Rotates when the current segment has no room; false while the spare is not there.
  private func makeRoom(_ size: Int) -> Bool {
    if current.room >= size { return true }
    guard let spare = preparer.takeSpare() else {
      CoverageMark.hit(.logWaitsForSegment)
      preparer.prepare(current.id + 1)
      return false
    }
    CoverageMark.hit(.segmentRotated)
    judgeBatches()
    segments.append(spare)
    preparer.prepare(spare.id + 1)
    return true
  }

  /// By the batches of the segment that is full, those of the next but one are expected.
  private func judgeBatches() {
    // What was written since a start may be too little to go by.
    if written.bytes >= limits.segmentSize / 2 {
      preparer.isForLargeBatches = written.bytes / written.batches >= limits.largeBatch
    }
    written = (0, 0)
  }

  private func write(_ batch: Batch) {
    let segment = current
    batch.position = Batch.Position(segment: segment.id, offset: segment.end)
    let header = BatchHeader(
      segment: segment.id, number: lastNumber + 1, length: batch.length,
      recordsChecksum: batch.recordsChecksum, previousEnd: lastEnd,
      previousChecksum: lastChecksum, lastEntryBefore: batch.lastEntryBefore)
    let checksum = batch.finish(header: header, seed: segment.seed)
    writing = batch
    if !batch.isSeal {
      written.batches += 1
      written.bytes += LogFormat.padded(batch.length)
    }
    oldestWriteStart = clock()
    disk.submitWhole(segment.file, at: segment.end, batch.bytes.readable) { [self] error in
      didWrite(batch, checksum: checksum, error)
    }
  }

  private func didWrite(_ batch: Batch, checksum: UInt32, _ error: DiskError?) {
    guard !hasFailed else { return }
    if let error { return fail(StorageFailure("the log cannot be written: \(error)")) }
    let segment = current
    writing = nil
    if let start = oldestWriteStart { writeTimes.observe(clock() - start) }
    oldestWriteStart = nil
    reads.didSeeProgress(at: clock())
    batch.isDurable = true
    segment.end += batch.bytes.count
    segment.highestIndex = max(segment.highestIndex, batch.highestIndex)
    lastNumber += 1
    lastEnd = segment.end
    lastChecksum = checksum
    lastDurableSegment = segment.id
    if batch.isReset { retire(before: segment.id) }
    contents.shedMemory(to: limits.memoryTail, applied: appliedIndex)
    pump()
    if writing == nil, !batch.isSeal { sealDeadline = clock() + limits.sealDelay }
    reportTickets()
  }

  /// In order, each once nothing older than it is on its way.
  func reportTickets() {
    let pending = writing?.isSeal == false ? writing : queue.first
    while let ticket = tickets.first, ticket.sequence < pending?.sequence ?? .max {
      tickets.removeFirst()
      didPersist(ticket.number)
    }
  }

  func didPrepareSegment() {
    pump()
    ballast.restore(after: limits.segmentSize)
  }

  // MARK: Time

  /// When this store next wants `deadlinePassed` to be called.
  package var deadline: Instant? {
    .earlier(sealDeadline, preparer.nextAttempt)
  }

  /// Seals the idle log, and asks a full disk again.
  package func deadlinePassed(at now: Instant) {
    if let sealDeadline, sealDeadline <= now {
      self.sealDeadline = nil
      seal()
    }
    if let retry = preparer.nextAttempt, retry <= now { preparer.prepare(current.id + 1) }
  }

  /// A seal has no ticket, opens no segment, and waits for nothing: it is worth that little. It
  /// carries no term, so it may go while the log is held.
  private func seal() {
    guard !hasFailed, writing == nil, queue.isEmpty, current.room >= LogFormat.sectorSize
    else { return }
    CoverageMark.hit(.logSealed)
    write(Batch(sequence: 0, lastEntry: lastEntry, bytesBefore: contents.appendedBytes))
  }
}
