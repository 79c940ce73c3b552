import RaftKV

/// Term and vote as the platters have them: the newer of the two valid slots.
struct DurableHardState: Equatable {
  var generation: UInt64 = 0
  var term = Term.zero
  var votedFor = NodeID.none

  static let fileName = "hard-state"
  static let slotOffsets = [0, 65536]
  private static let slotSize = 512

  init(_ file: SimulatedFile) {
    for offset in Self.slotOffsets {
      let slot = file.durableBytes(offset..<offset + Self.slotSize)
      slot.withUnsafeBytes { read($0) }
    }
  }

  private mutating func read(_ slot: UnsafeRawBufferPointer) {
    guard slot[..<8].elementsEqual("RAFTKVHS".utf8),
      slot.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        == CRC32C.checksum(UnsafeRawBufferPointer(rebasing: slot[12...]))
    else { return }
    let found = slot.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    guard found > generation else { return }
    generation = found
    term = Term(slot.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    votedFor = NodeID(slot.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
  }
}
