/// A growable run of raw memory that is filled at its end and emptied from its front.
///
/// It owns its memory and is not copied by accident. Pointers obtained from `readable` are valid
/// until the next call that appends, consumes or clears.
///
/// ```
///   base          start                 end             capacity
///    |  consumed   |      readable       |    writable     |
/// ```
package struct ByteBuffer: ~Copyable {
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  /// Invariant: 0 <= start <= end <= capacity.
  private var start = 0
  private var end = 0

  package init(capacity: Int = 256) {
    self.capacity = max(capacity, 16)
    base = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { base.deallocate() }

  /// The number of readable bytes.
  package var count: Int { end - start }
  package var isEmpty: Bool { end == start }

  /// The bytes appended and not yet consumed.
  package var readable: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + start, count: end - start)
  }

  /// The same bytes, to patch a length or a checksum once it is known.
  package var mutableReadable: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base + start, count: end - start)
  }

  /// Makes room for `count` more bytes, moving the readable ones to the front first.
  @inline(__always)
  package mutating func reserve(_ count: Int) {
    if capacity - end < count { makeRoom(count) }
  }

  private mutating func makeRoom(_ count: Int) {
    let used = end - start
    if capacity - used >= count && start >= used {
      base.copyMemory(from: base + start, byteCount: used)
    } else {
      let larger = max(capacity * 2, used + count)
      let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
      moved.copyMemory(from: base + start, byteCount: used)
      base.deallocate()
      base = moved
      capacity = larger
    }
    start = 0
    end = used
  }

  /// Appends up to `count` bytes in place: `body` fills the memory and returns how many it wrote.
  package mutating func append(
    upTo count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int
  ) {
    reserve(count)
    let written = body(UnsafeMutableRawBufferPointer(start: base + end, count: count))
    precondition(written >= 0 && written <= count, "wrote past the reserved bytes")
    end += written
  }

  package mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    (base + end).copyMemory(from: source, byteCount: bytes.count)
    end += bytes.count
  }

  package mutating func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }

  package mutating func append(_ text: StaticString) {
    append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  package mutating func append(text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  /// Appends an integer in little-endian order, as every format of ours has it.
  package mutating func append<Integer: FixedWidthInteger>(_ value: Integer) {
    let size = MemoryLayout<Integer>.size
    reserve(size)
    (base + end).storeBytes(of: value.littleEndian, as: Integer.self)
    end += size
  }

  package mutating func append(repeating byte: UInt8, count: Int) {
    guard count > 0 else { return }
    reserve(count)
    (base + end).initializeMemory(as: UInt8.self, repeating: byte, count: count)
    end += count
  }

  /// Overwrites an integer at `offset` from the first readable byte.
  package mutating func patch<Integer: FixedWidthInteger>(_ value: Integer, at offset: Int) {
    precondition(offset >= 0 && offset + MemoryLayout<Integer>.size <= count, "patch out of range")
    (base + start + offset).storeBytes(of: value.littleEndian, as: Integer.self)
  }

  /// Forgets the first `count` readable bytes.
  package mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= self.count, "consumed past the end")
    start += count
    if start == end {
      start = 0
      end = 0
    }
  }

  /// Forgets the readable bytes after the first `count`.
  package mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count, "cannot grow by truncation")
    end = start + count
  }

  /// Forgets all bytes, and gives memory beyond `limit` back: one large
  /// value must not stay for ever.
  package mutating func clear(keeping limit: Int = 1 << 20) {
    start = 0
    end = 0
    guard capacity > limit else { return }
    base.deallocate()
    capacity = max(limit, 16)
    base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
  }
}
