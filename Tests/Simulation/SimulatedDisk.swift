import RaftKV

/// What the disk can be asked for, as a fault sees it.
package enum DiskAccess: Equatable, Sendable {
  case list, open, size, read, write, truncate, allocate, sync, rename, remove, syncDirectory
  case freeSpace
}

/// One node's data directory, with the durability of a real one and the faults of a bad one.
///
/// - A write goes to the page cache; `sync` makes the file's data and size durable. A write on a
///   `.durable` file is durable when its completion is delivered, not before.
/// - Names become durable with `syncDirectory` alone.
/// - A loss of power turns each sector that is not durable, or under way, into old, new, torn or
///   zero, and keeps or drops each unsynced create, rename and remove, in any order. No other
///   sector is touched.
/// - Submissions complete in any order, through `schedule` or through `step`; never inside
///   `submit`.
///
/// The same seed gives the same disk.
package final class SimulatedDisk: Disk {
  private struct Handle {
    var file: SimulatedFile
    var name: String
    var mode: OpenMode
  }

  private struct Pending {
    var id: UInt64
    var operation: DiskOperation
    var completion: (DiskResult) -> Void
  }

  private var directory = SimulatedDirectory()
  /// What the process has open. Ids are never used twice, so that a call of a dead process meets
  /// nothing. Never iterated where the order could matter.
  private var handles: [FileID: Handle] = [:]
  private var nextFile: Int32 = 0
  private var pending: [Pending] = []
  private var nextID: UInt64 = 0
  private var random: Random
  private let schedule: ((Interval, @escaping () -> Void) -> Void)?

  // MARK: Faults

  /// Asked before each access, with the file's name; returns an errno to fail with.
  package var fault: (DiskAccess, String) -> Int32? = { _, _ in nil }
  /// Whether the file system knows how to allocate without writing.
  package var canAllocate = true
  /// The size of the file system; nil: endless.
  package var quota: Int?
  /// How many writes of 256 come back short.
  package var shortWrites = 0
  package var latency = SimulatedDisk.usualLatency
  /// How long the next write to the log takes, if it is to be the only one that does.
  var stuckWrite: Interval?
  /// The process dies at this many accesses from now.
  package var accessesUntilCrash: Int?
  /// Set when `accessesUntilCrash` came to pass: nothing completes any more, until `crash` is
  /// called.
  package private(set) var hasCrashed = false
  package private(set) var accessCount = 0
  /// How many accesses failed because `fault` said so.
  private(set) var injectedErrors = 0
  var fileCount: Int { directory.present.files.count }
  /// How many files the process has open.
  var openFiles: Int { handles.count }
  /// What a checker sees of the log.
  private(set) var durableLog = DurableLog()
  /// Names of segments that were removed while they still counted.
  private(set) var removedTooEarly: String?

  package init(random: Random, schedule: ((Interval, @escaping () -> Void) -> Void)? = nil) {
    self.random = random
    self.schedule = schedule
  }

  /// The process is gone, and with `losingPower` the page cache too. To be called while what was
  /// lent to `submit` still lives; afterwards the disk is ready for the next process.
  package func crash(losingPower: Bool = true) {
    for operation in pending { interrupt(operation.operation) }
    pending.removeAll()
    if losingPower { losePower() }
    handles.removeAll()
    accessesUntilCrash = nil
    hasCrashed = false
  }

  /// Nobody waits for what is under way. Completions hold whoever waits for them, and so the disk.
  func abandon() { pending.removeAll() }

  /// A name that was not synced may be there all the same, and then stays.
  private func losePower() {
    let known = directory.durable
    let sound = directory.present.entries.filter { $0.file.isDurable }
    directory.crash(&random)
    let left = directory.durable.entries
    for entry in left { entry.file.crash(&random) }
    for entry in left where sound.contains(entry) && !known.contains(entry) {
      didName(entry)
    }
  }

  /// What an operation that was under way may have done.
  private func interrupt(_ operation: DiskOperation) {
    switch operation {
    case .write(let id, let offset, let pieces):
      guard let handle = handles[id] else { return }
      var position = offset
      for piece in pieces {
        handle.file.crash(writing: piece, at: position, &random)
        position += piece.count
      }
    case .rename, .remove, .open, .allocate:
      if Bool.random(using: &random) { _ = perform(operation) }
    case .read, .sync, .truncate, .syncDirectory, .freeSpace: break
    }
  }

  /// Counts an access; false when the process dies at it.
  private func survives() -> Bool {
    if hasCrashed { return false }
    accessCount += 1
    guard let left = accessesUntilCrash else { return true }
    accessesUntilCrash = left - 1
    hasCrashed = left <= 1
    return !hasCrashed
  }

  // MARK: Submitted

  package var isIdle: Bool { pending.isEmpty }

  package func submit(_ operation: DiskOperation, _ completion: @escaping (DiskResult) -> Void) {
    guard !hasCrashed else { return }
    nextID += 1
    let id = nextID
    pending.append(Pending(id: id, operation: operation, completion: completion))
    guard let schedule else { return }
    var wait = random.interval(from: latency.shortest, to: latency.longest)
    if let stuckWrite, case .write(let file, _, _) = operation, let handle = handles[file],
      handle.name.hasPrefix(Self.segmentPrefix), handle.mode == .durable
    {
      wait = stuckWrite
      self.stuckWrite = nil
    }
    schedule(wait) { [weak self] in self?.complete(id) }
  }

  /// The disk works as usual again: what was under way comes to its end.
  func recover() {
    latency = Self.usualLatency
    stuckWrite = nil
    for operation in pending {
      schedule?(random.interval(from: latency.shortest, to: latency.longest)) { [weak self] in
        self?.complete(operation.id)
      }
    }
  }

  package static let usualLatency = (
    shortest: Interval.microseconds(50), longest: Interval.microseconds(400)
  )

  /// Without `schedule`: completes one of the operations under way, any of them. False if there is
  /// none.
  package func step() -> Bool {
    guard !hasCrashed, !pending.isEmpty else { return false }
    complete(pending[Int.random(in: 0..<pending.count, using: &random)].id)
    return !hasCrashed
  }

  private func complete(_ id: UInt64) {
    guard !hasCrashed, let index = pending.firstIndex(where: { $0.id == id }) else { return }
    guard survives() else { return }
    let operation = pending[index]
    pending.swapAt(index, pending.count - 1)
    pending.removeLast()
    operation.completion(perform(operation.operation))
  }

  private func perform(_ operation: DiskOperation) -> DiskResult {
    do throws(DiskError) {
      switch operation {
      case .open(let name, let mode): return .success(Int(try doOpen(name, mode).rawValue))
      case .write(let file, let offset, let pieces):
        return .success(try doWrite(file, at: offset, pieces))
      case .read(let file, let offset, let buffer):
        return .success(try doRead(file, at: offset, into: buffer))
      case .sync(let file): try doSync(file)
      case .truncate(let file, let size): try doTruncate(file, to: size)
      case .allocate(let file, let size): try doAllocate(file, size)
      case .rename(let source, let target): try doRename(source, to: target)
      case .remove(let name): try doRemove(name)
      case .syncDirectory: try doSyncDirectory()
      case .freeSpace:
        try check(.freeSpace, "")
        return .success(quota.map { max(0, $0 - usedBytes) } ?? .max)
      }
      return .success(0)
    } catch {
      return .failure(error)
    }
  }

  // MARK: Blocking

  package func list() throws(DiskError) -> [String] {
    try enter(.list)
    return names
  }

  package func open(_ name: String, _ mode: OpenMode) throws(DiskError) -> FileID {
    try enter(.open, interrupting: .open(name, mode))
    return try doOpen(name, mode)
  }

  package func size(_ file: FileID) throws(DiskError) -> Int {
    try enter(.size)
    return try handle(file).file.size
  }

  package func read(
    _ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DiskError) -> Int {
    try enter(.read)
    return try doRead(file, at: offset, into: buffer)
  }

  package func write(
    _ file: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer
  ) throws(DiskError) {
    try enter(.write, interrupting: .write(file, at: offset, [bytes]))
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      done += try doWrite(file, at: offset + done, [rest])
    }
  }

  package func truncate(_ file: FileID, to size: Int) throws(DiskError) {
    try enter(.truncate)
    try doTruncate(file, to: size)
  }

  package func sync(_ file: FileID) throws(DiskError) {
    try enter(.sync)
    try doSync(file)
  }

  package func rename(_ source: String, to target: String) throws(DiskError) {
    try enter(.rename, interrupting: .rename(source, to: target))
    try doRename(source, to: target)
  }

  package func remove(_ name: String) throws(DiskError) {
    try enter(.remove, interrupting: .remove(name))
    try doRemove(name)
  }

  package func syncDirectory() throws(DiskError) {
    try enter(.syncDirectory)
    try doSyncDirectory()
  }

  package func close(_ file: FileID) {
    handles[file] = nil
  }

  /// The errno of calls that a dead process makes.
  package static let dead: Int32 = 9999

  private func enter(
    _ access: DiskAccess, interrupting operation: DiskOperation? = nil
  ) throws(DiskError) {
    let wasAlive = !hasCrashed
    guard survives() else {
      if wasAlive, let operation { interrupt(operation) }
      throw DiskError(operation: "\(access)", code: Self.dead)
    }
  }

  // MARK: Effects

  private func doOpen(_ name: String, _ mode: OpenMode) throws(DiskError) -> FileID {
    try check(.open, name)
    let file: SimulatedFile
    switch (directory.file(name), mode) {
    case (nil, .create):
      file = SimulatedFile()
      directory.link(name, file)
    case (nil, _): throw DiskError(operation: "open \(name)", code: 2)
    case (_?, .create): throw DiskError(operation: "open \(name)", code: 17)
    case (let found?, _): file = found
    }
    let id = FileID(nextFile)
    nextFile += 1
    handles[id] = Handle(file: file, name: name, mode: mode)
    return id
  }

  private func doWrite(
    _ id: FileID, at offset: Int, _ pieces: [UnsafeRawBufferPointer]
  ) throws(DiskError) -> Int {
    let handle = try handle(id)
    precondition(handle.mode != .read, "a file opened for reading is not written")
    let total = pieces.reduce(0) { $0 + $1.count }
    do throws(DiskError) { try check(.write, handle.name) } catch {
      var position = offset
      for piece in pieces {
        handle.file.crash(writing: piece, at: position, &random)
        position += piece.count
      }
      throw error
    }
    try checkSpace(of: "write", handle, at: offset, count: total)
    var left = total
    if shortWrites > 0, total > 1, Int.random(in: 0..<256, using: &random) < shortWrites {
      left = Int.random(in: 1..<total, using: &random)
    }
    var position = offset
    for piece in pieces where left > 0 {
      let count = min(left, piece.count)
      handle.file.write(
        UnsafeRawBufferPointer(rebasing: piece[..<count]), at: position,
        durable: handle.mode == .durable)
      if handle.mode == .durable, isSegment(handle.file) {
        durableLog.didWrite(
          UnsafeRawBufferPointer(rebasing: piece[..<count]), at: position,
          in: ObjectIdentifier(handle.file))
      }
      position += count
      left -= count
    }
    return position - offset
  }

  /// Whether a start would find this file among the segments. One whose name could be lost is none.
  private func isSegment(_ file: SimulatedFile) -> Bool {
    directory.durable.names(of: ObjectIdentifier(file)).contains {
      $0.hasPrefix(Self.segmentPrefix)
    }
  }

  static let segmentPrefix = "log-"

  private func doRead(
    _ id: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DiskError) -> Int {
    let handle = try handle(id)
    try check(.read, handle.name)
    return handle.file.read(at: offset, into: buffer)
  }

  private func doSync(_ id: FileID) throws(DiskError) {
    let handle = try handle(id)
    do throws(DiskError) { try check(.sync, handle.name) } catch {
      handle.file.failSync()
      throw error
    }
    handle.file.sync()
  }

  private func doTruncate(_ id: FileID, to size: Int) throws(DiskError) {
    let handle = try handle(id)
    try check(.truncate, handle.name)
    handle.file.truncate(to: size)
  }

  private func doAllocate(_ id: FileID, _ size: Int) throws(DiskError) {
    let handle = try handle(id)
    try check(.allocate, handle.name)
    guard canAllocate else { throw DiskError(operation: "allocate \(handle.name)", code: 95) }
    try checkSpace(of: "allocate", handle, at: 0, count: size)
    handle.file.allocate(size)
  }

  /// What is written already has its place, on a full disk as well.
  private func checkSpace(
    of operation: String, _ handle: Handle, at offset: Int, count: Int
  ) throws(DiskError) {
    guard let quota else { return }
    let missing = handle.file.newPages(at: offset, count: count) * SimulatedFile.pageSize
    guard missing == 0 || usedBytes + missing <= quota else {
      throw DiskError(operation: "\(operation) \(handle.name)", code: DiskError.noSpace)
    }
  }

  private func doRename(_ source: String, to target: String) throws(DiskError) {
    try check(.rename, source)
    guard directory.rename(source, to: target) else {
      throw DiskError(operation: "rename \(source)", code: 2)
    }
  }

  private func doRemove(_ name: String) throws(DiskError) {
    try check(.remove, name)
    if name.hasPrefix(Self.segmentPrefix), let file = directory.file(name),
      !durableLog.isCovered(ObjectIdentifier(file))
    {
      removedTooEarly = name
    }
    guard directory.unlink(name) else { throw DiskError(operation: "remove \(name)", code: 2) }
  }

  private func doSyncDirectory() throws(DiskError) {
    try check(.syncDirectory, "")
    for entry in directory.sync() { didName(entry) }
  }

  private func didName(_ entry: SimulatedDirectory.Entry) {
    guard entry.file.isDurable else { return }
    if entry.name.hasPrefix(Self.segmentPrefix), !entry.name.hasSuffix(".tmp") {
      let bytes = entry.file.durableBytes(0..<entry.file.size)
      bytes.withUnsafeBytes { durableLog.didName(ObjectIdentifier(entry.file), $0) }
    }
    if let last = SnapshotName.lastEntry(entry.name), last.index > durableLog.snapshot.index {
      durableLog.snapshot = last
    }
  }

  var durableHardState: DurableHardState? {
    directory.durable.files[DurableHardState.fileName].map { DurableHardState($0) }
  }

  private func check(_ access: DiskAccess, _ name: String) throws(DiskError) {
    guard let code = fault(access, name) else { return }
    injectedErrors += 1
    throw DiskError(operation: "\(access) \(name)", code: code)
  }

  private func handle(_ id: FileID) throws(DiskError) -> Handle {
    guard let handle = handles[id] else {
      throw DiskError(operation: "use a closed file", code: 9)
    }
    return handle
  }

  /// Files without a name take space as long as they are open.
  private var usedBytes: Int {
    var pages = directory.present.pageCount
    var nameless: [SimulatedFile] = []
    for handle in handles.values
    where directory.present.names(of: ObjectIdentifier(handle.file)).isEmpty
      && !nameless.contains(where: { $0 === handle.file })
    {
      nameless.append(handle.file)
      pages += handle.file.pageCount
    }
    return pages * SimulatedFile.pageSize
  }

  /// No more than `room` can be written.
  func fill(leaving room: Int) { quota = usedBytes + room }

  /// Damages a sector at rest, of a file that is chosen at random, and returns the file's name: a
  /// bit, the whole sector, or another sector's content in its place, as a misdirected write leaves
  /// it. The last batch of the log is spared until it is sealed: nothing could tell rot in it from
  /// a torn write. So is one of the two slots of the hard state.
  func rot(_ random: inout Random) -> String? {
    let entries = directory.durable.entries.filter { $0.file.size > 0 }
    guard !entries.isEmpty else { return nil }
    let entry = random.pick(entries)
    let sectorSize = SimulatedFile.sectorSize
    var sector = random.below((entry.file.size + sectorSize - 1) / sectorSize)
    // Files of mostly zeros are hurt where it matters.
    if random.coin(0.5) { sector = random.below(min(sector + 1, 16)) }
    if entry.name == DurableHardState.fileName {
      sector = random.pick(DurableHardState.slotOffsets) / sectorSize
    }
    let start = sector * sectorSize
    let range = start..<min(start + sectorSize, entry.file.size)
    if let last = durableLog.lastBatch, last.segment == ObjectIdentifier(entry.file), !last.isSeal,
      last.range.overlaps(range)
    {
      return nil
    }
    let old = entry.file.durableBytes(range)
    var bytes = old
    switch random.below(4) {
    case 0: bytes = [UInt8](repeating: 0, count: bytes.count)
    case 1:
      let other = random.pick(entries).file
      let from = random.below((other.size + sectorSize - 1) / sectorSize) * sectorSize
      bytes = other.durableBytes(from..<from + bytes.count)
    default: bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
    }
    guard bytes != old else { return nil }
    bytes.withUnsafeBytes { entry.file.write($0, at: start, durable: true) }
    return entry.name
  }

  // MARK: For tests: the disk of a stopped node

  package var names: [String] { directory.present.files.keys.sorted() }

  func name(of file: ObjectIdentifier) -> String? {
    directory.present.names(of: file).first
  }

  package func contents(of name: String) -> [UInt8] {
    guard let file = directory.file(name) else { return [] }
    return [UInt8](unsafeUninitializedCapacity: file.size) { buffer, count in
      count = file.read(at: 0, into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// Durable at once. Creates the file if there is none.
  package func put(_ bytes: [UInt8], at offset: Int = 0, in name: String) {
    let file = directory.file(name) ?? SimulatedFile()
    if directory.file(name) == nil { directory.link(name, file) }
    bytes.withUnsafeBytes { file.write($0, at: offset, durable: true) }
    directory.sync()
  }

  package func flipBit(_ bit: Int, at offset: Int, in name: String) {
    let byte = contents(of: name)[offset]
    put([byte ^ (1 << UInt8(bit))], at: offset, in: name)
  }

  package func delete(_ name: String) {
    _ = directory.unlink(name)
    directory.sync()
  }
}
