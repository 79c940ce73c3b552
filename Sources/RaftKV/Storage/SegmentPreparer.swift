/// Keeps one segment of zeros ahead of the log, in the background.
///
/// `idle → preparing → idle` with a spare on a good day; with `isOutOfSpace` and a time to try
/// again when the disk is full. Any other error ends the process: a failed sync must never be tried
/// again (G2).
final class SegmentPreparer<D: Disk> {
  private let disk: D
  private let limits: LogLimits
  private let node: NodeID
  private var random: Random
  private let clock: () -> Instant
  /// When the present step of a preparation began; nil while none is under way.
  private(set) var stepStart: Instant?

  /// Ready for use: zeros, sync, rename and directory sync are behind it.
  private(set) var spare: Segment<D>?
  /// The last attempt found no space, or no free file descriptor (G15).
  private(set) var isOutOfSpace = false
  private(set) var retryDeadline: Instant?
  /// Batches are large: the next segments need their space, and no written zeros.
  var isForLargeBatches = false
  /// The space is spoken for: a snapshot is being written into what the ballast left.
  var isPaused = false

  /// Wired once.
  var didPrepare: () -> Void = {}
  var didFail: (DiskError) -> Void = { _ in }

  init(
    disk: D, limits: LogLimits, node: NodeID, random: Random, spare: Segment<D>?,
    clock: @escaping () -> Instant
  ) {
    self.disk = disk
    self.limits = limits
    self.node = node
    self.random = random
    self.spare = spare
    self.clock = clock
  }

  func takeSpare() -> Segment<D>? {
    defer { spare = nil }
    return spare
  }

  /// When `prepare` is to be called again; nil where something else has to happen first. Whoever
  /// was woken for a preparation that is paused would be woken for it again at once, for ever.
  var nextAttempt: Instant? {
    isPaused || stepStart != nil || spare != nil ? nil : retryDeadline
  }

  /// Begins to prepare segment `id`, if there is no spare and nothing stands against it.
  func prepare(_ id: UInt64) {
    guard spare == nil, stepStart == nil, !isPaused else { return }
    if let retryDeadline, clock() < retryDeadline { return }
    stepStart = clock()
    retryDeadline = nil
    disk.submit(.freeSpace) { [self] result in
      switch result {
      case .failure(let error): failed(error)
      case .success(let bytes) where bytes < limits.segmentSize:
        failed(DiskError(operation: "prepare \(SegmentHeader.name(id))", code: DiskError.noSpace))
      case .success: write(id)
      }
    }
  }

  /// Space may have come back: do not wait for the next attempt.
  func expectSpace() {
    #if PLANTED_BUGS
    if retryDeadline != nil, PlantedBug.spaceNeverSought.isActive { return }
    #endif
    retryDeadline = nil
  }

  private func write(_ id: UInt64) {
    let header = SegmentHeader(
      id: id, node: node, salt: random.next(), size: limits.segmentSize,
      largestBatch: limits.maximumBatchSize)
    let head = header.encoded()
    let seed = CheckedSector.checksum(head.readable)
    let name = SegmentHeader.name(id)
    ZeroFile.make(
      disk: disk, name: name, size: limits.segmentSize, pieceSize: limits.preparationPiece,
      head: head, isAllocated: isForLargeBatches, didStep: { [self] in stepStart = clock() },
      completion: { [self] error in
        if let error { failed(error) } else { open(name, header, seed) }
      })
  }

  private func open(_ name: String, _ header: SegmentHeader, _ seed: UInt32) {
    disk.submit(.open(name, .durable)) { [self] result in
      switch result {
      case .failure(let error): failed(error)
      case .success(let descriptor):
        finished(Segment(disk: disk, file: FileID(Int32(descriptor)), header: header, seed: seed))
      }
    }
  }

  private func finished(_ segment: Segment<D>) {
    stepStart = nil
    isOutOfSpace = false
    spare = segment
    didPrepare()
  }

  private func failed(_ error: DiskError) {
    stepStart = nil
    guard error.isNoSpace || error.isNoDescriptor else { return didFail(error) }
    isOutOfSpace = true
    CoverageMark.hit(.noSpaceForSegment)
    retryDeadline = clock() + limits.retryInterval
    #if PLANTED_BUGS
    if PlantedBug.spaceNeverSought.isActive { retryDeadline = .distantFuture }
    #endif
  }

  /// Blocking, at start: segment `id` with `first` behind its header, if given.
  static func prepareNow(
    disk: D, limits: LogLimits, node: NodeID, random: inout Random, id: UInt64,
    first: (inout ByteBuffer, _ seed: UInt32) -> Void = { _, _ in }
  ) throws(DiskError) {
    let header = SegmentHeader(
      id: id, node: node, salt: random.next(), size: limits.segmentSize,
      largestBatch: limits.maximumBatchSize)
    var head = header.encoded()
    first(&head, CheckedSector.checksum(head.readable))
    try ZeroFile.makeNow(
      disk: disk, name: SegmentHeader.name(id), size: limits.segmentSize,
      pieceSize: limits.preparationPiece, head: head)
  }
}
