/// SipHash-1-3 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF").
///
/// The fingerprint guards against accidents: a bug, a flipped bit, a forked history. For this one
/// round per word is plenty, as in the hash tables of Swift and Rust, and an entry of 150 bytes
/// costs some tens of nanoseconds. Its key is public, so it is no defence against someone who seeks
/// collisions.
struct SipHash {
  /// "raftkvd state v1", as two little-endian words.
  private static let key: (UInt64, UInt64) = (0x6476_6b74_6661_7220, 0x3176_2065_7461_7473)

  private var v0 = SipHash.key.0 ^ 0x736f_6d65_7073_6575
  private var v1 = SipHash.key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
  private var v2 = SipHash.key.0 ^ 0x6c79_6765_6e65_7261
  private var v3 = SipHash.key.1 ^ 0x7465_6462_7974_6573

  mutating func absorb(_ word: UInt64) {
    v3 ^= word
    round()
    v0 ^= word
  }

  /// Whole words, the last one filled up with zeros; the caller hashes the length.
  mutating func absorb(_ bytes: UnsafeRawBufferPointer) {
    var offset = 0
    while offset + 8 <= bytes.count {
      absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      offset += 8
    }
    guard offset < bytes.count else { return }
    var word: UInt64 = 0
    for index in offset..<bytes.count {
      word |= UInt64(bytes[index]) << UInt64(8 * (index - offset))
    }
    absorb(word)
  }

  /// The same, but for the digests of a long run in place of all its whole blocks.
  mutating func absorb(digesting bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= LaneDigest.shortest else { return absorb(bytes) }
    let whole = bytes.count / LaneDigest.blockSize * LaneDigest.blockSize
    let digest = LaneDigest(of: UnsafeRawBufferPointer(rebasing: bytes[..<whole]))
    absorb(digest.first)
    absorb(digest.second)
    absorb(digest.third)
    absorb(digest.fourth)
    absorb(UnsafeRawBufferPointer(rebasing: bytes[whole...]))
  }

  consuming func finish() -> StateHash {
    v2 ^= 0xee
    for _ in 0..<3 { round() }
    let low = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xdd
    for _ in 0..<3 { round() }
    return StateHash(high: v0 ^ v1 ^ v2 ^ v3, low: low)
  }

  private mutating func round() {
    v0 &+= v1
    v2 &+= v3
    v1 = (v1 << 13 | v1 >> 51) ^ v0
    v3 = (v3 << 16 | v3 >> 48) ^ v2
    v0 = v0 << 32 | v0 >> 32
    v2 &+= v1
    v0 &+= v3
    v1 = (v1 << 17 | v1 >> 47) ^ v2
    v3 = (v3 << 21 | v3 >> 43) ^ v0
    v2 = v2 << 32 | v2 >> 32
  }
}
