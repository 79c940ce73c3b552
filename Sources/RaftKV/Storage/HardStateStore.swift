/// Term and vote on disk, in the file `hard-state`: two slots, at offsets 0 and 65536, far enough
/// apart that no disk tears both with one write.
///
/// A slot is a `CheckedSector` with magic `RAFTKVHS`:
/// ```
/// offset  size
///     16     8  generation: one more with each state
///     24     8  term
///     32     8  voted for, 0 for nobody
///     40     8  the node's incarnation
/// ```
/// A state counts as durable when it is in both slots, written one after the other. So a crash
/// leaves at least one valid slot, and any valid slot is at least as new as the last state that
/// anything depended on. Recovery takes the higher generation and writes both again, the other one
/// first. No valid slot is damage, never term 0: a vote might be forgotten (A1).
package final class HardStateStore<D: Disk> {
  private static var name: String { HardStateSlot.fileName }
  private static var slotOffsets: [Int] { [0, 65536] }
  private static var fileSize: Int { 65536 + CheckedSector.size }

  private let disk: D
  private let file: FileID
  private let node: NodeID
  private let clock: () -> Instant
  private var generation: UInt64
  private var pending: HardState?
  private var writing: HardState?
  private var hasFailed = false

  /// The last state that is in both slots.
  package private(set) var durable: HardState
  /// Since when a write has been under way.
  package private(set) var oldestWriteStart: Instant?
  /// From the submission of a state to the completion of its second slot.
  package let writeTimes = Histogram()

  /// Wired once. States may be skipped: the newest one that was waiting is what is written.
  package var didPersist: (HardState) -> Void = { _ in }
  /// Wired once. Called at most once; the process must end.
  package var onFailure: (StorageFailure) -> Void = { _ in }

  private init(
    disk: D, file: FileID, node: NodeID, slot: HardStateSlot, clock: @escaping () -> Instant
  ) {
    self.disk = disk
    self.file = file
    self.node = node
    self.clock = clock
    generation = slot.generation
    durable = slot.state
  }

  deinit { disk.close(file) }

  package var isWriting: Bool { writing != nil }

  /// Writes `state`; a write under way is finished first, and one that waits gives way to this one.
  package func write(_ state: HardState) {
    let newest = pending ?? writing ?? durable
    precondition(state.currentTerm >= newest.currentTerm, "the term never falls")
    pending = state
    writeNext()
  }

  private func writeNext() {
    guard !hasFailed, writing == nil, let state = pending else { return }
    pending = nil
    writing = state
    generation += 1
    oldestWriteStart = clock()
    let slot = HardStateSlot(generation: generation, state: state, node: node)
    write(SlotWrite(slot), slot: 0)
  }

  private func write(_ bytes: SlotWrite, slot: Int) {
    disk.submitWhole(file, at: Self.slotOffsets[slot], bytes.sector.readable) { [self] error in
      guard !hasFailed else { return }
      if let error {
        hasFailed = true
        return onFailure(StorageFailure("the hard state cannot be written: \(error)"))
      }
      #if PLANTED_BUGS
      if PlantedBug.hardStateInOneSlot.isActive { return finish(bytes.state) }
      #endif
      guard slot + 1 == Self.slotOffsets.count else { return write(bytes, slot: slot + 1) }
      finish(bytes.state)
    }
  }

  private func finish(_ state: HardState) {
    durable = state
    writing = nil
    if let start = oldestWriteStart { writeTimes.observe(clock() - start) }
    oldestWriteStart = nil
    writeNext()
    didPersist(state)
  }

  // MARK: Start

  /// Makes the file, with generation 1: as long as it says so, the node has never promised
  /// anything.
  static func create(disk: D, node: NodeID, state: HardState) throws(DiskError) {
    let slot = HardStateSlot(generation: HardStateSlot.firstGeneration, state: state, node: node)
    let sector = slot.encoded()
    var bytes = ByteBuffer(capacity: fileSize)
    for offset in slotOffsets {
      bytes.append(repeating: 0, count: offset - bytes.count)
      bytes.append(sector.readable)
    }
    try disk.replace(name, with: bytes.readable)
  }

  package static func recover(
    disk: D, node: NodeID, clock: @escaping () -> Instant
  ) throws(RecoveryError) -> HardStateStore {
    let file: FileID
    do throws(DiskError) { file = try disk.open(name, .durable) } catch {
      throw error.isNotFound ? .corrupt("\(name) is missing") : .io(error)
    }
    do throws(RecoveryError) {
      let slot = try newestSlot(disk: disk, file: file)
      guard slot.node == node else {
        throw .foreign("\(name) belongs to node \(slot.node), not to \(node)")
      }
      try rewrite(slot, disk: disk, file: file)
      return HardStateStore(disk: disk, file: file, node: node, slot: slot, clock: clock)
    } catch {
      disk.close(file)
      throw error
    }
  }

  /// Whether the file is as `create` made it; false as well where it cannot be read.
  static func isUntouched(disk: D) -> Bool {
    do throws(DiskError) {
      let file = try disk.open(name, .read)
      defer { disk.close(file) }
      let slot = try? newestSlot(disk: disk, file: file)
      return slot?.generation == HardStateSlot.firstGeneration
    } catch { return false }
  }

  private static func newestSlot(disk: D, file: FileID) throws(RecoveryError) -> HardStateSlot {
    var newest: HardStateSlot?
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: CheckedSector.size, alignment: 16)
    defer { buffer.deallocate() }
    for offset in slotOffsets {
      let count = try recovering { () throws(DiskError) in
        try disk.readWhole(file, at: offset, into: buffer)
      }
      let slot: HardStateSlot
      do throws(CheckedSector.Fault) {
        slot = try HardStateSlot.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      } catch {
        if case .newer = error { throw error.recoveryError(name) }
        CoverageMark.hit(.hardStateSlotTorn)
        continue
      }
      if let other = newest, other.generation == slot.generation, other != slot {
        throw .corrupt("the two slots of \(name) disagree")
      }
      if slot.generation > newest?.generation ?? 0 { newest = slot }
    }
    guard let newest else { throw .corrupt("no slot of \(name) is valid") }
    return newest
  }

  private static func rewrite(
    _ slot: HardStateSlot, disk: D, file: FileID
  ) throws(RecoveryError) {
    let sector = slot.encoded()
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: CheckedSector.size, alignment: 16)
    defer { buffer.deallocate() }
    try recovering { () throws(DiskError) in
      // The stale slot first: while it is torn, the good one is not touched.
      _ = try disk.readWhole(file, at: slotOffsets[0], into: buffer)
      let isFirstGood = buffer.elementsEqual(sector.readable)
      if !isFirstGood { CoverageMark.hit(.firstSlotStale) }
      for offset in isFirstGood ? slotOffsets.reversed() : slotOffsets {
        try disk.write(file, at: offset, sector.readable)
      }
    }
  }
}

struct HardStateSlot: Equatable {
  static let fileName = "hard-state"
  static let magic: StaticString = "RAFTKVHS"
  static let version: UInt32 = 1
  static let firstGeneration: UInt64 = 1

  var generation: UInt64
  var state: HardState
  var node: NodeID

  func encoded() -> ByteBuffer {
    CheckedSector.encode(magic: Self.magic, version: Self.version) { sector in
      sector.append(generation)
      sector.append(state.currentTerm.rawValue)
      sector.append(state.votedFor.rawValue)
      sector.append(node.rawValue)
    }
  }

  static func decode(_ bytes: UnsafeRawBufferPointer) throws(CheckedSector.Fault) -> HardStateSlot {
    var reader = try CheckedSector.decode(bytes, magic: magic, version: version)
    guard let generation = reader.read(UInt64.self), let term = reader.read(UInt64.self),
      let votedFor = reader.read(UInt64.self), let node = reader.read(UInt64.self)
    else { throw .damaged }
    return HardStateSlot(
      generation: generation,
      state: HardState(currentTerm: Term(term), votedFor: NodeID(votedFor)), node: NodeID(node))
  }
}

/// Keeps a slot's bytes where they are while they are written.
private final class SlotWrite {
  let state: HardState
  let sector: ByteBuffer

  init(_ slot: HardStateSlot) {
    state = slot.state
    sector = slot.encoded()
  }
}
