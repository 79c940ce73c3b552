/// Four words that stand for a long run of bytes: quicker by far than hashing each of its words.
///
/// Block by block, each of four lanes multiplies the two words that are its own, masked by a
/// constant and by the lane so far, and folds the product of 128 bits to 64. Lanes do not wait for
/// each other, so that the processor works at all of them at once. A change that meets one lane
/// alone goes unnoticed once in 2^64 times, which is plenty against accidents; as with `SipHash` in
/// its public key, no defence is meant.
struct LaneDigest {
  static let blockSize = 64
  /// Below it, the words themselves are hashed as quickly.
  static let shortest = 512

  // Digits of pi behind the point.
  private(set) var first: UInt64 = 0x243f_6a88_85a3_08d3
  private(set) var second: UInt64 = 0x1319_8a2e_0370_7344
  private(set) var third: UInt64 = 0xa409_3822_299f_31d0
  private(set) var fourth: UInt64 = 0x082e_fa98_ec4e_6c89

  init(of bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count % Self.blockSize == 0, "a digest is of whole blocks")
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    var offset = 0
    while offset < bytes.count {
      first = Self.fold(word(offset) ^ 0x4528_21e6_38d0_1377, word(offset + 8) ^ first)
      second = Self.fold(
        word(offset + 16) ^ 0xbe54_66cf_34e9_0c6c, word(offset + 24) ^ second)
      third = Self.fold(
        word(offset + 32) ^ 0xc0ac_29b7_c97c_50dd, word(offset + 40) ^ third)
      fourth = Self.fold(
        word(offset + 48) ^ 0x3f84_d5b5_b547_0917, word(offset + 56) ^ fourth)
      offset += Self.blockSize
    }
  }

  private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }
}
