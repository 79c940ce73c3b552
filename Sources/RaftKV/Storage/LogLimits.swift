/// The log's sizes. Production uses the defaults; the simulator makes everything small, so that
/// rare things are frequent.
package struct LogLimits: Sendable {
  /// Large enough that rotation is rare, small enough that compaction frees space in useful steps.
  package var segmentSize = 64 << 20
  /// A batch is closed at this size. More would make the entries behind it wait for one long write.
  package var batchSize = 4 << 20
  /// One entry larger than `batchSize` still is one batch, up to this. It bounds what a crash may
  /// leave torn, and is written in every segment for that. The largest value that HTTP lets in (7
  /// MiB) fits.
  package var maximumBatchSize = 8 << 20
  /// What compaction leaves beyond what its caller asks for, in whole segments. The engine keeps a
  /// tail of its own (F7), so none by default.
  package var keptTail = 0
  /// Applied and durable batches are dropped from memory beyond this: twice what a follower may
  /// have unacknowledged. One that is further behind is served from disk.
  package var memoryTail = 16 << 20
  /// With no further segment in sight, these bytes are for no-ops, configurations and deletes.
  package var lastReserve = 8 << 20
  /// A file that is given up when the disk is full, so that a snapshot can be written.
  package var ballastSize = 64 << 20
  /// Zeros are written in pieces this large, each synced before the next, so that the log's writes
  /// never stand behind more than one of them.
  package var preparationPiece = 1 << 20
  /// Where batches are this large on average, segments are allocated instead of filled.
  package var largeBatch = 256 << 10
  /// After this time without a batch the last one is sealed.
  package var sealDelay = Interval.milliseconds(10)
  /// How often a full disk is asked again whether it still is.
  package var retryInterval = Interval.seconds(1)

  package init() {}

  /// The longest record a batch can take.
  package var maximumRecordSize: Int { maximumBatchSize - BatchHeader.size }

  func check() {
    precondition(
      batchSize <= maximumBatchSize && maximumBatchSize % LogFormat.sectorSize == 0,
      "a batch limit is whole sectors, and not below the size at which batches are closed")
    precondition(
      segmentSize >= maximumBatchSize + LogFormat.sectorSize
        && segmentSize % LogFormat.sectorSize == 0,
      "a segment is whole sectors and has room for its header and the largest batch")
  }
}
