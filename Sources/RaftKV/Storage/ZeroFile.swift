/// Makes files that are there as a whole or not at all: a head, then zeros, made and synced under a
/// temporary name, renamed, and the directory synced. Only then may anyone use the file.
///
/// Why written zeros: a synchronous write into written space changes no metadata, and so costs one
/// disk write. Why in pieces, each synced: while one of them is on its way the log's own writes
/// wait for no more than that. For large writes metadata counts for less than that each byte goes
/// to the disk twice: for those the space is only allocated, where the file system can do that.
final class ZeroFile<D: Disk> {
  private let disk: D
  private let name: String
  private let temporary: String
  private let size: Int
  private let piece: UnsafeMutableRawBufferPointer
  private var head: ByteBuffer
  private var offset = 0
  private var isAllocated: Bool
  private var file: FileID?
  private let didStep: () -> Void
  private let completion: (DiskError?) -> Void

  private init(
    disk: D, name: String, size: Int, pieceSize: Int, head: consuming ByteBuffer,
    isAllocated: Bool, didStep: @escaping () -> Void, completion: @escaping (DiskError?) -> Void
  ) {
    self.isAllocated = isAllocated
    self.disk = disk
    self.name = name
    self.size = size
    self.didStep = didStep
    self.completion = completion
    self.head = head
    temporary = name + DataDirectory.temporarySuffix
    piece = .allocate(byteCount: pieceSize, alignment: 16)
    piece.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { piece.deallocate() }

  /// Asynchronously. After an error nothing of it is left, unless removing it failed as well, or
  /// all that failed was the directory's sync: then it has its name, for as long as that lasts.
  /// `didStep` is called whenever the disk has done another piece: so slow is told from hung.
  static func make(
    disk: D, name: String, size: Int, pieceSize: Int, head: consuming ByteBuffer,
    isAllocated: Bool = false, didStep: @escaping () -> Void = {},
    completion: @escaping (DiskError?) -> Void
  ) {
    precondition(!isAllocated || !head.isEmpty, "what is allocated is synced with its head")
    let work = ZeroFile(
      disk: disk, name: name, size: size, pieceSize: pieceSize, head: head,
      isAllocated: isAllocated, didStep: didStep, completion: completion)
    work.begin()
  }

  /// Blocking, at start.
  static func makeNow(
    disk: D, name: String, size: Int, pieceSize: Int, head: consuming ByteBuffer
  ) throws(DiskError) {
    let work = ZeroFile(
      disk: disk, name: name, size: size, pieceSize: pieceSize, head: head, isAllocated: false,
      didStep: {}, completion: { _ in })
    try work.runNow()
  }

  private func runNow() throws(DiskError) {
    do throws(DiskError) { try disk.remove(temporary) } catch {
      guard error.isNotFound else { throw error }
    }
    let file = try disk.open(temporary, .create)
    defer { disk.close(file) }
    while let bytes = nextPiece() {
      try disk.write(file, at: offset, bytes)
      offset += bytes.count
    }
    try disk.sync(file)
    try disk.rename(temporary, to: name)
    try disk.syncDirectory()
  }

  /// The head first, then zeros where there are none yet; nil at the end.
  private func nextPiece() -> UnsafeRawBufferPointer? {
    if offset == 0, !head.isEmpty { return head.readable }
    guard offset < size, !isAllocated else { return nil }
    return UnsafeRawBufferPointer(
      rebasing: UnsafeRawBufferPointer(piece)[..<min(piece.count, size - offset)])
  }

  private func begin() {
    disk.submit(.open(temporary, .create)) { [self] result in
      switch result {
      case .success(let descriptor):
        file = FileID(Int32(descriptor))
        isAllocated ? allocate() : writeNext()
      case .failure(let error): completion(error)
      }
    }
  }

  private func allocate() {
    guard let file else { preconditionFailure("space is allocated for an open file") }
    disk.submit(.allocate(file, size)) { [self] result in
      if case .failure(let error) = result {
        guard !error.isNoSpace, !error.isInputOutput else { return giveUp(error) }
        CoverageMark.hit(.segmentNotAllocated)
        isAllocated = false
      } else {
        CoverageMark.hit(.segmentAllocated)
      }
      didStep()
      writeNext()
    }
  }

  private func writeNext() {
    guard let file else { preconditionFailure("zeros are written to an open file") }
    guard let bytes = nextPiece() else { return publish() }
    disk.submitWhole(file, at: offset, bytes) { [self] error in
      if let error { return giveUp(error) }
      didStep()
      offset += bytes.count
      #if PLANTED_BUGS
      if PlantedBug.segmentNotSynced.isActive { return writeNext() }
      #endif
      disk.submit(.sync(file)) { [self] result in
        if case .failure(let error) = result { return giveUp(error) }
        didStep()
        writeNext()
      }
    }
  }

  private func publish() {
    disk.submit(.rename(temporary, to: name)) { [self] result in
      if case .failure(let error) = result { return giveUp(error) }
      #if PLANTED_BUGS
      if PlantedBug.segmentNameNotSynced.isActive {
        closeFile()
        return completion(nil)
      }
      #endif
      disk.submit(.syncDirectory) { [self] result in
        closeFile()
        if case .failure(let error) = result { return completion(error) }
        completion(nil)
      }
    }
  }

  private func giveUp(_ error: DiskError) {
    closeFile()
    disk.submit(.remove(temporary)) { [self] _ in completion(error) }
  }

  private func closeFile() {
    if let file { disk.close(file) }
    file = nil
  }
}
