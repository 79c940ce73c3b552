import CLibUV

/// CRC-32C (Castagnoli), the checksum of every format of ours; RFC 3720
/// appendix B.4 has its vectors.
package enum CRC32C {
  /// The checksum of `bytes`, or of `bytes` behind those that `previous` stands for.
  package static func checksum(
    _ bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0
  ) -> UInt32 {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return previous }
    if hasInstruction {
      let start = base.assumingMemoryBound(to: UInt8.self)
      return ~raftkv_crc32c_hardware(~previous, start, bytes.count)
    }
    return checksumByTable(bytes, continuing: previous)
  }

  /// The same by table, for processors without the instruction and as the instruction's dumb twin.
  package static func checksumByTable(
    _ bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0
  ) -> UInt32 {
    var state = ~previous
    for byte in bytes {
      state = table[Int((state ^ UInt32(byte)) & 0xff)] ^ (state >> 8)
    }
    return ~state
  }

  private static let hasInstruction = raftkv_crc32c_available() != 0

  /// The polynomial 0x1EDC6F41, bits reversed.
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in
      value & 1 == 1 ? (value >> 1) ^ 0x82f6_3b78 : value >> 1
    }
  }
}
