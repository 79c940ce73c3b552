/// The order of keys: bytes, lexicographically; a key comes before its extensions.
enum KeyOrder {
  /// The first eight bytes as a big-endian number, a short key padded with zeros. So a smaller
  /// prefix means a smaller key, and equal prefixes mean that the keys themselves must be compared.
  static func prefix(of key: UnsafeRawBufferPointer) -> UInt64 {
    if key.count >= 8 { return UInt64(bigEndian: key.loadUnaligned(as: UInt64.self)) }
    var prefix: UInt64 = 0
    for byte in key { prefix = prefix << 8 | UInt64(byte) }
    // A shift by 64 yields zero: the prefix of the empty key.
    return prefix << UInt64(8 * (8 - key.count))
  }

  /// Negative, zero or positive, as `left` comes before, equals or comes after `right`.
  static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = commonCount(left, right)
    if common < left.count && common < right.count {
      return left[common] < right[common] ? -1 : 1
    }
    return left.count - right.count
  }

  /// How many first bytes the two share.
  static func commonCount(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let limit = min(left.count, right.count)
    var count = 0
    while count + 8 <= limit {
      let difference =
        left.loadUnaligned(fromByteOffset: count, as: UInt64.self).littleEndian
        ^ right.loadUnaligned(fromByteOffset: count, as: UInt64.self).littleEndian
      if difference != 0 { return count + difference.trailingZeroBitCount / 8 }
      count += 8
    }
    while count < limit && left[count] == right[count] { count += 1 }
    return count
  }
}
