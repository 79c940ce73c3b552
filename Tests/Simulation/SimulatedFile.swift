import RaftKV

/// A file as the simulated disk knows it: what the page cache has, and, where that is not durable
/// yet, what the platters have.
///
/// Invariant: a page differs from its durable content only in sectors marked dirty; a page without
/// dirty sectors has no `saved` page.
final class SimulatedFile {
  static let pageSize = 4096
  static let sectorSize = 512
  private static let sectorsPerPage = pageSize / sectorSize

  private final class Page {
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: pageSize, alignment: 16)

    init(copying other: Page?) {
      if let other {
        bytes.copyMemory(from: other.bytes, byteCount: pageSize)
      } else {
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: pageSize)
      }
    }

    deinit { bytes.deallocate() }
  }

  private struct Slot {
    /// Nil: zeros that take no space.
    var page: Page?
    /// The durable content while a sector is dirty; nil there as well: zeros.
    var saved: Page?
    /// One bit per sector.
    var dirty: UInt8 = 0
    /// Those of the dirty sectors that a failed sync marked clean: only writing them again helps.
    var lost: UInt8 = 0
  }

  private var slots: [Slot] = []
  private(set) var size = 0
  private(set) var durableSize = 0
  /// How many pages take space.
  private(set) var pageCount = 0

  // MARK: Content

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = max(0, min(buffer.count, size - offset))
    forEachPiece(at: offset, count: count) { slot, start, length, done in
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + length])
      if let page = slots[slot].page {
        target.copyMemory(from: UnsafeRawBufferPointer(start: page.bytes + start, count: length))
      } else {
        target.initializeMemory(as: UInt8.self, repeating: 0)
      }
    }
    return count
  }

  /// How many pages a write would newly take.
  func newPages(at offset: Int, count: Int) -> Int {
    var missing = 0
    let last = (offset + count + Self.pageSize - 1) / Self.pageSize
    for slot in (offset / Self.pageSize)..<max(last, offset / Self.pageSize)
    where slot >= slots.count || slots[slot].page == nil {
      missing += 1
    }
    return missing
  }

  /// Into the page cache; with `durable` onto the platters as well.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, durable: Bool) {
    grow(to: offset + bytes.count)
    forEachPiece(at: offset, count: bytes.count) { slot, start, length, done in
      let source = UnsafeRawBufferPointer(rebasing: bytes[done..<done + length])
      let page = materialize(slot)
      if !durable, slots[slot].dirty == 0 { slots[slot].saved = Page(copying: page) }
      if let base = source.baseAddress {
        (page.bytes + start).copyMemory(from: base, byteCount: length)
      }
      if durable, slots[slot].dirty == 0 { return }
      for sector in (start / Self.sectorSize)...((start + length - 1) / Self.sectorSize) {
        if durable { clean(sector, of: slot) } else { soil(sector, of: slot) }
      }
    }
    if durable { durableSize = max(durableSize, offset + bytes.count) }
  }

  /// Takes the space of the first bytes. What is not written there stays zeros.
  func allocate(_ newSize: Int) {
    grow(to: newSize)
    for slot in 0..<(newSize + Self.pageSize - 1) / Self.pageSize { _ = materialize(slot) }
  }

  func truncate(to newSize: Int) {
    if newSize > size { grow(to: newSize) }
    // Whole pages only are given back; the rest of the last one is zeroed as any write is.
    if newSize < size {
      let end = min(size, (newSize / Self.pageSize + 1) * Self.pageSize)
      let zeros = [UInt8](repeating: 0, count: max(0, end - newSize))
      if !zeros.isEmpty { zeros.withUnsafeBytes { write($0, at: newSize, durable: false) } }
      let kept = (newSize + Self.pageSize - 1) / Self.pageSize
      for slot in kept..<max(kept, slots.count) where slots[slot].page != nil { pageCount -= 1 }
      slots.removeLast(max(0, slots.count - kept))
    }
    size = newSize
  }

  func sync() {
    for slot in slots.indices where slots[slot].dirty != 0 {
      if slots[slot].lost == 0 {
        slots[slot].dirty = 0
        slots[slot].saved = nil
      } else {
        for sector in 0..<Self.sectorsPerPage where slots[slot].lost & (1 << UInt8(sector)) == 0 {
          clean(sector, of: slot)
        }
      }
    }
    durableSize = size
  }

  /// A failed sync: the kernel marks the pages clean without having written them. The cache goes on
  /// showing them, and a later sync will not write them (trap G2).
  func failSync() {
    for slot in slots.indices { slots[slot].lost = slots[slot].dirty }
  }

  private func soil(_ sector: Int, of slot: Int) {
    slots[slot].dirty |= 1 << UInt8(sector)
    slots[slot].lost &= ~(1 << UInt8(sector))
  }

  private func clean(_ sector: Int, of slot: Int) {
    let bit = UInt8(1) << UInt8(sector)
    guard slots[slot].dirty & bit != 0 else { return }
    slots[slot].dirty &= ~bit
    slots[slot].lost &= ~bit
    if slots[slot].dirty == 0 {
      slots[slot].saved = nil
    } else if let page = slots[slot].page, let saved = slots[slot].saved {
      let start = sector * Self.sectorSize
      (saved.bytes + start).copyMemory(from: page.bytes + start, byteCount: Self.sectorSize)
    }
  }

  /// Nothing of it would be lost with the power.
  var isDurable: Bool { size == durableSize && slots.allSatisfy { $0.dirty == 0 } }

  /// What the platters have, zeros where the file does not reach.
  func durableBytes(_ range: Range<Int>) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    forEachPiece(at: range.lowerBound, count: range.count) { slot, start, length, done in
      guard slot < slots.count else { return }
      var position = start
      while position < start + length {
        let sector = position / Self.sectorSize
        let end = min(start + length, (sector + 1) * Self.sectorSize)
        let isDirty = slots[slot].dirty & (1 << UInt8(sector)) != 0
        if let page = isDirty ? slots[slot].saved : slots[slot].page {
          let source = UnsafeRawBufferPointer(start: page.bytes + position, count: end - position)
          bytes.withUnsafeMutableBytes {
            UnsafeMutableRawBufferPointer(rebasing: $0[(done + position - start)...])
              .copyMemory(from: source)
          }
        }
        position = end
      }
    }
    return bytes
  }

  // MARK: Crash

  /// What is left after power is gone: every sector that was not durable becomes old, new, torn or
  /// zero, each on its own.
  func crash(_ random: inout Random) {
    let survivingSize = size == durableSize || Bool.random(using: &random) ? size : durableSize
    for slot in slots.indices where slots[slot].dirty != 0 {
      let page = materialize(slot)
      for sector in 0..<Self.sectorsPerPage where slots[slot].dirty & (1 << UInt8(sector)) != 0 {
        let start = sector * Self.sectorSize
        Self.resolve(page.bytes + start, old: slots[slot].saved.map { $0.bytes + start }, &random)
      }
      slots[slot].dirty = 0
      slots[slot].lost = 0
      slots[slot].saved = nil
    }
    if survivingSize < size { truncate(to: survivingSize) }
    sync()
  }

  /// Writes what a crash leaves of a write that was under way.
  func crash(writing bytes: UnsafeRawBufferPointer, at offset: Int, _ random: inout Random) {
    guard bytes.count > 0 else { return }
    let covered = Int.random(in: 0...bytes.count, using: &random)
    let isWhole = Bool.random(using: &random)
    let end = isWhole ? bytes.count : covered
    if end > 0 {
      write(UnsafeRawBufferPointer(rebasing: bytes[..<end]), at: offset, durable: false)
    }
  }

  private static func resolve(
    _ sector: UnsafeMutableRawPointer, old: UnsafeMutableRawPointer?, _ random: inout Random
  ) {
    func restore(_ range: Range<Int>) {
      if let old {
        (sector + range.lowerBound).copyMemory(
          from: old + range.lowerBound, byteCount: range.count)
      } else {
        (sector + range.lowerBound).initializeMemory(
          as: UInt8.self, repeating: 0, count: range.count)
      }
    }
    switch Int.random(in: 0..<8, using: &random) {
    case 0...2: break
    case 3...5: restore(0..<sectorSize)
    case 6:
      let middle = Int.random(in: 1..<sectorSize, using: &random)
      restore(Bool.random(using: &random) ? 0..<middle : middle..<sectorSize)
    default: sector.initializeMemory(as: UInt8.self, repeating: 0, count: sectorSize)
    }
  }

  // MARK: Pages

  private func materialize(_ slot: Int) -> Page {
    if let page = slots[slot].page { return page }
    let page = Page(copying: nil)
    slots[slot].page = page
    pageCount += 1
    return page
  }

  private func grow(to newSize: Int) {
    size = max(size, newSize)
    let needed = (size + Self.pageSize - 1) / Self.pageSize
    if needed > slots.count {
      slots.append(contentsOf: repeatElement(Slot(), count: needed - slots.count))
    }
  }

  private func forEachPiece(
    at offset: Int, count: Int,
    _ body: (_ slot: Int, _ start: Int, _ length: Int, _ done: Int) -> Void
  ) {
    var done = 0
    while done < count {
      let position = offset + done
      let start = position % Self.pageSize
      let length = min(Self.pageSize - start, count - done)
      body(position / Self.pageSize, start, length, done)
      done += length
    }
  }
}
