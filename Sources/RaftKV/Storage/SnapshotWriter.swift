/// Writes one snapshot: `append` slices, one at a time, then `finish`; or `abandon` at any time.
///
/// Completions get the error or nil. After an error the writer is over and what it wrote is
/// removed; a full disk is such an error. Any other failed sync ends the process.
package final class SnapshotWriter<D: Disk> {
  private enum Phase {
    case opening
    case open
    case busy
    case over
  }

  /// It holds us while we write.
  private unowned let store: SnapshotStore<D>
  package let lastEntry: EntryID
  private let limit: Int
  private let name: String
  private let temporary: String
  private var phase = Phase.opening
  private var isAbandoned = false
  private var file: FileID?
  private var pending = ByteBuffer()
  /// Bytes written; the only offset that the next `append` may have.
  package private(set) var offset = 0
  private var synced = 0
  /// The file under its name, once it is durable; an open handle serves whatever becomes of that.
  package private(set) var published: SnapshotFile<D>?

  /// Dirty bytes are synced at least this often, so that the log's writes never stand behind more
  /// (the background lane has at most 1 MiB in flight).
  private static var syncInterval: Int { 1 << 20 }

  init(store: SnapshotStore<D>, lastEntry: EntryID, limit: Int) {
    self.store = store
    self.lastEntry = lastEntry
    self.limit = limit
    name = SnapshotName.make(lastEntry)
    temporary = name + DataDirectory.temporarySuffix
  }

  /// Whether `append` and `finish` may be called.
  package var isReady: Bool { phase == .open && !isAbandoned }

  func begin(_ completion: @escaping (DiskError?) -> Void) {
    disk.submit(.open(temporary, .create)) { [self] result in
      switch result {
      case .failure(let error): end(error, completion)
      case .success(let descriptor):
        file = FileID(Int32(descriptor))
        proceed(completion)
      }
    }
  }

  /// Copies `bytes` and writes them. Returns false, and does nothing, where `offset` is not the
  /// next one or the announced size would be exceeded: a chunk that came twice or out of order.
  package func append(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, _ completion: @escaping (DiskError?) -> Void
  ) -> Bool {
    guard isReady, offset == self.offset, bytes.count <= limit - offset else { return false }
    phase = .busy
    pending.clear()
    pending.append(bytes)
    disk.submitWhole(openFile, at: offset, pending.readable) { [self] error in
      if let error { return end(error, completion) }
      self.offset += pending.count
      if self.offset - synced < Self.syncInterval { return proceed(completion) }
      sync(orElse: completion) { [self] in
        synced = self.offset
        proceed(completion)
      }
    }
    return true
  }

  /// Makes the snapshot durable and current, then removes older ones.
  package func finish(_ completion: @escaping (DiskError?) -> Void) {
    precondition(isReady, "a snapshot is finished after its last slice was written")
    phase = .busy
    sync(orElse: completion) { [self] in
      guard !isAbandoned else {
        CoverageMark.hit(.snapshotGivenUpAtTheEnd)
        return end(nil, completion)
      }
      store.onceFree(lastEntry) { [self] in publish(completion) }
    }
  }

  /// Gives the snapshot up. What was begun is finished and then removed; its completion still
  /// comes.
  package func abandon() {
    isAbandoned = true
    if phase == .open { end(nil) { _ in } }
  }

  private var disk: D { store.disk }

  private var openFile: FileID {
    guard let file else { preconditionFailure("a snapshot is written to an open file") }
    return file
  }

  private func proceed(_ completion: (DiskError?) -> Void) {
    phase = .open
    if isAbandoned { end(nil) { _ in } }
    completion(nil)
  }

  private func sync(
    orElse completion: @escaping (DiskError?) -> Void, _ next: @escaping () -> Void
  ) {
    #if PLANTED_BUGS
    if PlantedBug.snapshotNotSynced.isActive { return next() }
    #endif
    disk.submit(.sync(openFile)) { [self] result in
      guard case .failure(let error) = result else { return next() }
      #if PLANTED_BUGS
      if PlantedBug.syncErrorIgnored.isActive { return next() }
      #endif
      // A file system may notice only now that it is full; the file is given up as a whole then.
      if error.isNoSpace { return end(error, completion) }
      store.onFailure(StorageFailure(error))
    }
  }

  private func publish(_ completion: @escaping (DiskError?) -> Void) {
    disk.submit(.rename(temporary, to: name)) { [self] result in
      if case .failure(let error) = result { return end(error, completion) }
      #if PLANTED_BUGS
      let last: DiskOperation =
        PlantedBug.snapshotNameNotSynced.isActive ? .freeSpace : .syncDirectory
      #else
      let last = DiskOperation.syncDirectory
      #endif
      disk.submit(last) { [self] result in
        if case .failure(let error) = result { return store.onFailure(StorageFailure(error)) }
        let whole = SnapshotFile(disk: disk, file: openFile, lastEntry: lastEntry, size: offset)
        file = nil
        published = whole
        phase = .over
        store.writer = nil
        store.didPublish(whole)
        completion(nil)
      }
    }
  }

  private func end(_ error: DiskError?, _ completion: @escaping (DiskError?) -> Void) {
    phase = .over
    if let file { disk.close(file) }
    file = nil
    disk.submit(.remove(temporary)) { [self] _ in
      store.writer = nil
      completion(error)
    }
  }
}
