import DequeModule

/// The log: entries in memory and on disk, as `LogFormat` lays them out.
///
/// A calm day: `append` copies records into the open batch; at the end of the turn `flush(ticket:)`
/// hands it over; when the lane is free it goes out as one durable write, while the next batch
/// fills; on completion `didPersist(ticket)` is called, in the order of the tickets. When a segment
/// has no room for the next batch, the spare takes its place and another spare is prepared in the
/// background.
///
/// What may go wrong: the spare is not there yet (the lane waits); the disk is full (`isFull`,
/// before anything fails); a write fails (`onFailure`, once, and nothing is acknowledged ever
/// after); the disk hangs (`stalledSince` says since when).
package final class LogStore<D: Disk> {
  struct Ticket {
    var number: UInt64
    var sequence: UInt64
  }

  let disk: D
  let limits: LogLimits
  let logger: Logger
  let clock: () -> Instant
  let preparer: SegmentPreparer<D>

  var contents: LogContents
  /// Oldest first. Invariant: never empty; the last one is being written; ids ascend without a gap.
  var segments: Deque<Segment<D>>
  /// Begun and not yet written. Only the last may be open.
  var queue: Deque<Batch> = []
  var tickets: Deque<Ticket> = []
  /// The batch in flight, or the seal.
  var writing: Batch?
  var oldestWriteStart: Instant?
  var reads = ReadsUnderWay()
  var nextSequence: UInt64 = 1
  /// What the next batch header says of its predecessor. Numbers begin with 1.
  var lastNumber: UInt64
  /// What of the current segment we have written ourselves, without seals.
  var written = (batches: 0, bytes: 0)
  var lastEnd: Int
  var lastChecksum: UInt32
  /// The segment of the last durable batch. It is never removed: recovery begins with what it says.
  var lastDurableSegment: UInt64
  var sealDeadline: Instant?
  /// Counts truncations and resets, so that a read that overlapped one is done again.
  var rewriteCount = 0
  var retired: Deque<Segment<D>> = []
  var isRemoving = false
  var ballast: Ballast<D>
  private(set) var hasFailed = false

  /// Wired once. Called with each ticket, in order, when all that was appended before it is
  /// durable.
  package var didPersist: (UInt64) -> Void = { _ in }
  /// Wired once. Called at most once; the process must end.
  package var onFailure: (StorageFailure) -> Void = { _ in }

  /// While true no batch is submitted: a term must not be in the log before it is in the hard
  /// state.
  package var isHeld = false {
    didSet { if !isHeld { pump() } }
  }

  /// The highest index that the state machine has; older batches may leave memory.
  package var appliedIndex = LogIndex.zero {
    didSet { contents.shedMemory(to: limits.memoryTail, applied: appliedIndex) }
  }

  init(
    disk: D, limits: LogLimits, recovery: LogRecovery<D>, preparer: SegmentPreparer<D>,
    ballast: Ballast<D>, clock: @escaping () -> Instant, logger: Logger
  ) {
    self.disk = disk
    self.limits = limits
    self.preparer = preparer
    self.ballast = ballast
    self.clock = clock
    self.logger = logger
    contents = recovery.contents
    segments = recovery.segments
    nextSequence = recovery.nextSequence
    lastNumber = recovery.lastNumber
    lastEnd = recovery.lastEnd
    lastChecksum = recovery.lastChecksum
    lastDurableSegment = recovery.lastSegment
    sealDeadline = recovery.isSealed ? nil : clock() + limits.sealDelay
    preparer.didFail = { [weak self] in self?.fail(StorageFailure($0)) }
    ballast.didFail = { [weak self] in self?.fail(StorageFailure($0)) }
    preparer.didPrepare = { [weak self] in self?.didPrepareSegment() }
  }

  /// From the submission of a write to its completion.
  package let writeTimes = Histogram()

  // MARK: What the log holds

  /// What the first entry follows; a snapshot covers the log through here.
  package var base: EntryID { contents.base }
  package var lastEntry: EntryID { contents.lastEntry }
  /// Record bytes after the last snapshot: half of the rule for the next one.
  package var bytesSinceSnapshot: UInt64 { contents.bytesSinceSnapshot }
  /// Record bytes held in memory.
  package var memoryBytes: Int { contents.memoryBytes }

  /// No further segment can be prepared and this one is down to its last reserve. A leader takes no
  /// more writes then, except those that free space or keep the cluster going.
  package var isFull: Bool {
    preparer.isOutOfSpace && preparer.spare == nil
      && current.room - unwrittenBytes < limits.lastReserve
  }

  private var unwrittenBytes: Int {
    queue.reduce(writing?.bytes.count ?? 0) { $0 + LogFormat.padded($1.length) }
  }

  var current: Segment<D> { segments[segments.count - 1] }

  // MARK: Changing it

  /// Copies the record into the open batch, at once. Its index must follow `lastEntry`.
  package func append(_ record: EntryRecord) {
    let size = EntryRecord.size(payload: record.payload.count)
    precondition(
      size <= limits.maximumRecordSize, "an entry fits one batch; HTTP refuses larger ones")
    let batch = openBatch(room: size)
    contents.append(record, to: batch)
  }

  /// Ends the log with `entry`. Memory forgets the rest now; the disk learns it in the same write
  /// as the entries that follow.
  package func truncate(after entry: EntryID) {
    precondition(
      entry.index >= base.index && entry.index <= lastEntry.index,
      "the log is truncated within itself")
    guard entry.index < lastEntry.index else { return }
    #if PLANTED_BUGS
    if PlantedBug.truncationNotWritten.isActive {
      queue.last?.close()
      return contents.truncate(after: entry)
    }
    #endif
    appendControl(.truncation, entry)
    contents.truncate(after: entry)
  }

  /// An installed snapshot, durable already, takes the place of the whole log.
  package func reset(to entry: EntryID) {
    appendControl(.reset, entry)
    contents.reset(to: entry)
  }

  private func appendControl(_ kind: ControlKind, _ entry: EntryID) {
    rewriteCount += 1
    if let last = queue.last, last.hasEntries { last.close() }
    openBatch(room: EntryRecord.headerSize).append(kind, entry)
  }

  /// The batch that takes the next record.
  private func openBatch(room: Int) -> Batch {
    if let last = queue.last, !last.isClosed {
      if last.length + room <= limits.batchSize { return last }
      last.close()
    }
    let batch = Batch(
      sequence: nextSequence, lastEntry: lastEntry, bytesBefore: contents.appendedBytes)
    nextSequence += 1
    queue.append(batch)
    return batch
  }

  /// Everything appended so far belongs to `ticket` or an earlier one. Where all of it is durable
  /// already the ticket is reported before this returns.
  package func flush(ticket: UInt64) {
    precondition(
      tickets.last.map { $0.number < ticket } ?? true, "tickets are handed in ascending order")
    tickets.append(Ticket(number: ticket, sequence: nextSequence - 1))
    #if PLANTED_BUGS
    if PlantedBug.ticketBeforeWrite.isActive { didPersist(ticket) }
    #endif
    reportTickets()
    pump()
  }

  func fail(_ failure: StorageFailure) {
    guard !hasFailed else { return }
    hasFailed = true
    onFailure(failure)
  }
}
