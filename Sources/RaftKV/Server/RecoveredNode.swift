/// A data directory, opened: everything a `Replica` starts from.
package struct RecoveredNode<D: Disk> {
  var identity: IdentityStore<D>
  var hardState: HardStateStore<D>
  var snapshots: SnapshotStore<D>
  var log: LogStore<D>
  var state: KeyValueState
  var raft: Raft.Recovered

  /// Opens the directory of a node that has been started before: hard state, newest sound snapshot,
  /// log. Blocking; nobody waits for us yet.
  package static func open(
    _ disk: D, limits: LogLimits, random: Random, clock: @escaping () -> Instant, logger: Logger
  ) throws(RecoveryError) -> RecoveredNode {
    let opened = try DataDirectory.open(disk, clock: clock, logger: logger)
    let loaded = try loadSnapshot(opened.snapshots, of: opened.identity.identity, logger: logger)
    let lastEntry = loaded?.metadata.lastEntry ?? .zero
    let (log, recovered) = try LogStore.recover(
      disk: disk, limits: limits, node: opened.identity.identity.node,
      hardState: opened.hardState.durable, snapshot: lastEntry, random: random, clock: clock,
      logger: logger)
    var raft = Raft.Recovered(
      hardState: opened.hardState.durable, base: recovered.base, entries: recovered.entries)
    if let loaded {
      raft.snapshot = Raft.SnapshotInfo(lastEntry: lastEntry, total: UInt64(loaded.file.size))
      raft.configuration = ConfigurationHistory.Item(
        index: loaded.metadata.configurationIndex, configuration: loaded.metadata.configuration)
    }
    return RecoveredNode(
      identity: opened.identity, hardState: opened.hardState, snapshots: opened.snapshots, log: log,
      state: loaded?.state ?? KeyValueState(), raft: raft)
  }

  private struct Loaded {
    var file: SnapshotFile<D>
    var metadata: SnapshotMetadata
    var state: KeyValueState
  }

  /// The newest snapshot that is sound. A damaged one is passed over only if an older one is there:
  /// then the log's recovery says whether it still reaches back to that; if not, it refuses.
  private static func loadSnapshot(
    _ snapshots: SnapshotStore<D>, of identity: Identity, logger: Logger
  ) throws(RecoveryError) -> Loaded? {
    let names = try snapshots.list()
    var damage: RecoveryError?
    for name in names {
      let file = try snapshots.open(name)
      switch try load(file) {
      case .success(let (state, metadata)):
        guard metadata.clusterID == identity.cluster, metadata.lastEntry == name else {
          throw .foreign("snapshot \(name) is of another cluster or entry")
        }
        guard metadata.configuration.isUnderstood else {
          throw .newerFormat("snapshot \(name) asks for more than this version understands")
        }
        snapshots.adopt(file, removing: names)
        return Loaded(file: file, metadata: metadata, state: state)
      case .failure(.unsupportedVersion(let version)):
        // No reason to pass it over: what wrote it may have let the log before it go.
        throw .newerFormat("snapshot \(name) has format version \(version)")
      case .failure(let error):
        damage = damage ?? .corrupt("snapshot \(name): \(error)")
        logger.error("snapshot \(name) is damaged: \(error)")
      }
    }
    if let damage { throw damage }
    return nil
  }

  /// Reads and checks a whole snapshot, in pieces.
  private static func load(
    _ file: SnapshotFile<D>
  ) throws(RecoveryError) -> Result<(KeyValueState, SnapshotMetadata), SnapshotError> {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    var decoder = SnapshotDecoder()
    var offset = 0
    while offset < file.size {
      let count = try file.readNow(at: offset, into: buffer)
      guard count > 0 else { break }
      offset += count
      do throws(SnapshotError) {
        try decoder.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      } catch { return .failure(error) }
    }
    do throws(SnapshotError) {
      let state = try decoder.finish()
      guard let metadata = decoder.metadata else { return .failure(.truncated) }
      return .success((state, metadata))
    } catch { return .failure(error) }
  }
}
