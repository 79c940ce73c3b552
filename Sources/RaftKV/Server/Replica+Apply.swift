/// Step 4 of `Effects`: committed entries reach the map, strictly in order, once per life of the
/// process (B17), and their clients are answered.
extension Replica {
  /// Applies what is committed, for as long as a slice of time allows. Returns
  /// whether it applied anything.
  func applyCommitted() -> Bool {
    guard !isLoadingEntries, !hasFailed, appliedIndex < raft.applicableIndex else { return false }
    if !loaded.isEmpty { return applyLoaded() }
    let first = appliedIndex.next
    var slice = ApplySlice(start: clock())
    let last = log.forEachInMemory(from: first, through: raft.applicableIndex) { record in
      apply(record)
      return slice.mayGoOn(after: record, clock, settings.sliceBudget) && !hasFailed
    }
    if last == nil { loadEntries(from: first) }
    if appliedIndex < raft.applicableIndex, !isLoadingEntries { requestAnotherTurn() }
    log.appliedIndex = appliedIndex
    metrics.appliedEntries &+= UInt64(appliedIndex.next - first)
    if metrics.writes.isWaitingForApply {
      metrics.writes.didApply(through: appliedIndex, at: clock())
    }
    return last != nil && !slice.isOverdue
  }

  private func apply(_ record: EntryRecord) {
    let id = record.id
    precondition(id.index == appliedIndex.next, "entries are applied in order")
    #if FAILPOINTS
    Failpoint.pass(.before, .apply)
    #endif
    var result = ApplyResult.written
    switch record.kind {
    case .noop: store.advance(to: id.index)
    case .configuration:
      guard Configuration(decoding: record.payload)?.isUnderstood ?? false else {
        return failBeyondUs(id)
      }
      store.advance(to: id.index)
    case .command, .reclaim:
      do throws(ApplyError) {
        result = try store.apply(payload: record.payload, at: id.index)
      } catch {
        return fail(
          "entry \(id) cannot be applied (\(error)): start a raftkvd at least as new as the one "
            + "that proposed it", .unknownCommand)
      }
    }
    #if FAILPOINTS
    Failpoint.pass(.after, .apply)
    #endif
    guard let item = writes.remove(at: id.index) else { return }
    #if PLANTED_BUGS
    let isOurs = item.term == id.term || PlantedBug.waitersOutliveTerm.isActive
    #else
    let isOurs = item.term == id.term
    #endif
    guard isOurs else { return replies.reply(.unknownOutcome, to: item.token) }
    switch result {
    case .written: replies.reply(.written(id.index), to: item.token)
    case .deleted(let existed): replies.reply(.deleted(id.index, existed: existed), to: item.token)
    }
  }

  /// The cluster has agreed to use what this program does not know; going on would be guessing.
  func failBeyondUs(_ id: EntryID) {
    fail(
      "the configuration of \(id) asks for more than this version understands: start a newer "
        + "raftkvd", .unknownCommand)
  }

  /// After a restart, or far behind: the entries are on disk only. A whole batch is read at a time,
  /// once; applying it may take several turns.
  private func loadEntries(from first: LogIndex) {
    CoverageMark.hit(.appliedFromDisk)
    isLoadingEntries = true
    log.readRecords(from: first, through: raft.applicableIndex, maxBytes: .max) { [self] slice in
      isLoadingEntries = false
      guard let slice, !hasFailed else { return requestAnotherTurn() }
      loaded.append(slice.records)
      requestAnotherTurn()
    }
  }

  private func applyLoaded() -> Bool {
    let first = appliedIndex.next
    var slice = ApplySlice(start: clock())
    var reader = ByteReader(loaded.readable)
    while !hasFailed, !slice.isOverdue, let record = reader.readEntry() {
      // A snapshot may have been installed meanwhile; it is what these entries lead to.
      if record.id.index > appliedIndex { apply(record) }
      _ = slice.mayGoOn(after: record, clock, settings.sliceBudget)
    }
    loaded.consume(reader.offset)
    if loaded.isEmpty { loaded.clear() }
    log.appliedIndex = appliedIndex
    metrics.appliedEntries &+= UInt64(appliedIndex.next - first)
    requestAnotherTurn()
    return !slice.isOverdue
  }
}

/// The time that one turn spends on applying. The clock is read now and then only, after 64 entries
/// or 256 KiB: it costs as much as an entry.
private struct ApplySlice {
  var start: Instant
  var work = 0
  var isOverdue = false

  init(start: Instant) { self.start = start }

  mutating func mayGoOn(
    after record: EntryRecord, _ clock: () -> Instant, _ budget: Interval
  ) -> Bool {
    work += 1 + record.payload.count >> 12
    if work >= 64 {
      work = 0
      isOverdue = clock() - start > budget
    }
    return !isOverdue
  }
}
