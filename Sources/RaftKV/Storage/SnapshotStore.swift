/// Snapshots as files, `snapshot-<index>-<term>`, sixteen hexadecimal digits each. What is inside
/// is the state machine's business; here they are bytes that are there as a whole or not at all:
/// temp → sync → rename → sync directory, and only then may the log be compacted or an older one
/// removed (F2).
package final class SnapshotStore<D: Disk> {
  let disk: D
  let logger: Logger
  /// On disk and found good, or just written; nil before the first one.
  package private(set) var current: SnapshotFile<D>?
  /// Older ones, still to be removed. A removal that fails is tried again with the next snapshot.
  private var outdated: [EntryID] = []
  private var removing: EntryID?
  private var afterRemoval: (() -> Void)?
  /// At most one snapshot is written at a time, local or received.
  var writer: SnapshotWriter<D>?
  /// Whether `beginWriting` may be called.
  package var isIdle: Bool { writer == nil }

  /// Wired once. Called when a sync fails: the process must end (G2).
  package var onFailure: (StorageFailure) -> Void = { _ in }

  package init(disk: D, logger: Logger) {
    self.disk = disk
    self.logger = logger
  }

  // MARK: Start, blocking

  /// Newest first. More than one is there only after a crash between a rename and a removal.
  package func list() throws(RecoveryError) -> [EntryID] {
    let names = try recovering { () throws(DiskError) in try disk.list() }
    return names.compactMap(SnapshotName.lastEntry).sorted {
      ($0.index, $0.term) > ($1.index, $1.term)
    }
  }

  /// Opens a snapshot to be checked and loaded; see `SnapshotFile.readNow`.
  package func open(_ lastEntry: EntryID) throws(RecoveryError) -> SnapshotFile<D> {
    try recovering { () throws(DiskError) in
      let file = try disk.open(SnapshotName.make(lastEntry), .read)
      let size: Int
      do throws(DiskError) { size = try disk.size(file) } catch {
        disk.close(file)
        throw error
      }
      return SnapshotFile(disk: disk, file: file, lastEntry: lastEntry, size: size)
    }
  }

  /// This one was loaded; those in `others` are older, or were found damaged.
  package func adopt(_ file: SnapshotFile<D>, removing others: [EntryID] = []) {
    current = file
    outdated += others.filter { $0 != file.lastEntry }
    removeNext()
  }

  // MARK: Writing

  /// Begins the snapshot of the state through `lastEntry`. A receiver passes the size that was
  /// announced: more is not accepted (F4).
  package func beginWriting(
    _ lastEntry: EntryID, limit: Int = .max, _ completion: @escaping (DiskError?) -> Void
  ) -> SnapshotWriter<D> {
    precondition(writer == nil, "one snapshot is written at a time")
    let writer = SnapshotWriter(store: self, lastEntry: lastEntry, limit: limit)
    self.writer = writer
    writer.begin(completion)
    return writer
  }

  func didPublish(_ file: SnapshotFile<D>) {
    // A received one may have overtaken it, and by now the log begins behind that one.
    if let current, current.lastEntry.index > file.lastEntry.index {
      outdated.append(file.lastEntry)
      return removeNext()
    }
    if let replaced = current, replaced.lastEntry != file.lastEntry {
      CoverageMark.hit(.snapshotReplaced)
      outdated.append(replaced.lastEntry)
    }
    current = file
    removeNext()
  }

  /// What concerns names has no order on a disk: nothing gets this name while the removal of a
  /// damaged one is under way, and none is begun from here on.
  func onceFree(_ lastEntry: EntryID, _ body: @escaping () -> Void) {
    outdated.removeAll { $0 == lastEntry }
    if removing == lastEntry { afterRemoval = body } else { body() }
  }

  private func removeNext() {
    guard removing == nil, let lastEntry = outdated.last else { return }
    removing = lastEntry
    disk.submit(.remove(SnapshotName.make(lastEntry))) { [self] result in
      removing = nil
      afterRemoval?()
      afterRemoval = nil
      if case .failure(let error) = result, !error.isNotFound {
        return logger.warning("an old snapshot stays: \(error)")
      }
      outdated.removeAll { $0 == lastEntry }
      removeNext()
    }
  }
}

/// An open snapshot. A reader that keeps it can finish, even when a newer one took its place and
/// its name is gone; it is closed when nobody holds it.
package final class SnapshotFile<D: Disk> {
  private let disk: D
  private let file: FileID
  package let lastEntry: EntryID
  package let size: Int

  init(disk: D, file: FileID, lastEntry: EntryID, size: Int) {
    self.disk = disk
    self.file = file
    self.lastEntry = lastEntry
    self.size = size
  }

  deinit { disk.close(file) }

  /// Blocking, at start: reads at `offset` until the buffer is full or the file ends.
  package func readNow(
    at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(RecoveryError) -> Int {
    try recovering { () throws(DiskError) in
      try disk.readWhole(file, at: offset, into: buffer)
    }
  }

  /// Reads a chunk of at most `count` bytes. The completion gets it borrowed, for the length of its
  /// call.
  package func read(
    at offset: Int, count: Int,
    _ completion: @escaping (Result<UnsafeRawBufferPointer, DiskError>) -> Void
  ) {
    let count = max(0, min(count, size - offset))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    guard count > 0 else {
      defer { buffer.deallocate() }
      return completion(.success(UnsafeRawBufferPointer(buffer)))
    }
    disk.submitWhole(file, at: offset, into: buffer) { [self] error in
      defer { buffer.deallocate() }
      _ = self  // The file stays open until here.
      completion(error.map(Result.failure) ?? .success(UnsafeRawBufferPointer(buffer)))
    }
  }
}

/// `snapshot-<index>-<term>`, so that the newest sorts last.
package enum SnapshotName {
  static let prefix = "snapshot-"

  package static func make(_ lastEntry: EntryID) -> String {
    "\(prefix)\(hexadecimal(lastEntry.index.rawValue))-\(hexadecimal(lastEntry.term.rawValue))"
  }

  /// The last entry that a snapshot's name tells; nil for any other file.
  package static func lastEntry(_ name: String) -> EntryID? {
    guard name.hasPrefix(prefix) else { return nil }
    let fields = name.dropFirst(prefix.count).split(
      separator: "-", omittingEmptySubsequences: false)
    guard fields.count == 2, let index = parseHexadecimal(fields[0]),
      let term = parseHexadecimal(fields[1])
    else { return nil }
    return EntryID(index: LogIndex(index), term: Term(term))
  }
}
