/// The data directory as a whole: what is in it, how it begins, and in which order it is opened.
///
/// ```
/// identity                         who we are; the last file of a first start
/// hard-state                       term and vote, twice
/// log-<id>                         the log, one of them the spare
/// snapshot-<index>-<term>          usually one
/// ballast                          space to be given up when the disk is full
/// *.tmp                            what was not finished; removed at start
/// ```
/// Other files are not ours, and are left alone. A start is: `inspect`; where it finds nobody,
/// `create`; then `open`, load a snapshot, `LogStore.recover`.
package enum DataDirectory {
  package static let temporarySuffix = ".tmp"

  /// A directory that was opened: everything but the log, which needs to know the snapshot first.
  package struct Opened<D: Disk> {
    package var identity: IdentityStore<D>
    package var hardState: HardStateStore<D>
    package var snapshots: SnapshotStore<D>
  }

  /// Who lives here; nil for an empty directory, and for one whose first start was not finished.
  package static func inspect<D: Disk>(_ disk: D) throws(RecoveryError) -> Identity? {
    let names = try recovering { () throws(DiskError) in
      // What a process that died had renamed may so far be in the page cache only (G2).
      try disk.syncDirectory()
      return try disk.list()
    }
    if names.contains(Identity.fileName) { return try readIdentity(disk) }
    guard names.contains(where: isState) else { return nil }
    // Deleting on suspicion is how others lost data (G11). Here is proof: no term, vote or snapshot
    // was ever written since the hard state was made, so nothing was ever promised.
    let hasSnapshot = names.contains { SnapshotName.lastEntry($0) != nil }
    let hasLog = names.contains { SegmentHeader.id(name: $0) != nil }
    let hasHardState = names.contains(HardStateSlot.fileName)
    guard !hasSnapshot, !hasLog || hasHardState,
      !hasHardState || HardStateStore.isUntouched(disk: disk)
    else { throw .corrupt("\(Identity.fileName) is missing, but other files are there") }
    return nil
  }

  /// The first start. With a configuration, the cluster begins here: the configuration is entry
  /// 1@1. Blocking, and in this order: hard state, first segment, identity. Before the last rename
  /// is durable the directory counts as empty.
  package static func create<D: Disk>(
    _ disk: D, identity: Identity, configuration: Configuration?, limits: LogLimits,
    random: Random
  ) throws(RecoveryError) {
    limits.check()
    precondition(identity.node != .none, "a node's incarnation is never 0")
    var random = random
    try recovering { () throws(DiskError) in
      for name in try disk.list() where isState(name) { try disk.remove(name) }
      try disk.syncDirectory()
      let term = configuration == nil ? Term.zero : Term(1)
      try HardStateStore.create(
        disk: disk, node: identity.node, state: HardState(currentTerm: term))
      try SegmentPreparer.prepareNow(
        disk: disk, limits: limits, node: identity.node, random: &random, id: 1
      ) { head, seed in
        guard let configuration else { return }
        appendFirstBatch(configuration, seed: seed, to: &head)
      }
      let sector = identity.encoded()
      try disk.replace(Identity.fileName, with: sector.readable)
    }
  }

  /// Opens what `inspect` found, and removes what was not finished.
  package static func open<D: Disk>(
    _ disk: D, clock: @escaping () -> Instant, logger: Logger
  ) throws(RecoveryError) -> Opened<D> {
    let identity = try readIdentity(disk)
    let hardState = try HardStateStore.recover(disk: disk, node: identity.node, clock: clock)
    try recovering { () throws(DiskError) in
      for name in try disk.list() where isTemporary(name) {
        CoverageMark.hit(.leftoverRemoved)
        #if PLANTED_BUGS
        if PlantedBug.leftoversKept.isActive { continue }
        #endif
        try disk.remove(name)
      }
      try disk.syncDirectory()
    }
    return Opened(
      identity: IdentityStore(disk: disk, identity: identity), hardState: hardState,
      snapshots: SnapshotStore(disk: disk, logger: logger))
  }

  private static func appendFirstBatch(
    _ configuration: Configuration, seed: UInt32, to head: inout ByteBuffer
  ) {
    var payload = ByteBuffer()
    configuration.encode(into: &payload)
    let batch = Batch(sequence: 0, lastEntry: .zero, bytesBefore: 0)
    let id = EntryID(index: LogIndex(1), term: Term(1))
    batch.append(EntryRecord(kind: .configuration, id: id, payload: payload.readable))
    let header = BatchHeader(
      segment: 1, number: 1, length: batch.length, recordsChecksum: batch.recordsChecksum,
      previousEnd: 0, previousChecksum: 0, lastEntryBefore: .zero)
    _ = batch.finish(header: header, seed: seed)
    withExtendedLifetime(batch) { head.append(batch.bytes.readable) }
  }

  private static func readIdentity<D: Disk>(_ disk: D) throws(RecoveryError) -> Identity {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: CheckedSector.size, alignment: 16)
    defer { buffer.deallocate() }
    let count = try recovering { () throws(DiskError) in
      let file = try disk.open(Identity.fileName, .read)
      defer { disk.close(file) }
      return try disk.readWhole(file, at: 0, into: buffer)
    }
    do throws(CheckedSector.Fault) {
      return try Identity.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    } catch {
      throw error.recoveryError(Identity.fileName)
    }
  }

  /// Names of ours that say something about the past; not the ballast.
  private static func isState(_ name: String) -> Bool {
    name == Identity.fileName || name == HardStateSlot.fileName
      || name.hasPrefix(SegmentHeader.namePrefix) || name.hasPrefix(SnapshotName.prefix)
  }

  private static func isTemporary(_ name: String) -> Bool {
    guard name.hasSuffix(temporarySuffix) else { return false }
    let target = String(name.dropLast(temporarySuffix.count))
    return isState(target) || target == BallastFile.name
  }
}
