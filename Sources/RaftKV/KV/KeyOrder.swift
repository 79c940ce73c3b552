/// The order of keys: bytes, lexicographically; a key comes before its extensions.
enum KeyOrder {
  /// The eight bytes from `offset` on as a big-endian number, padded with zeros behind the key's
  /// end. Among keys that share their first `offset` bytes a smaller digest means a smaller key,
  /// and equal digests mean that the keys themselves must be compared.
  static func digest(of key: UnsafeRawBufferPointer, from offset: Int) -> UInt64 {
    if offset + 8 <= key.count {
      return UInt64(bigEndian: key.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard offset < key.count else { return 0 }
    var digest: UInt64 = 0
    for position in offset..<key.count { digest = digest << 8 | UInt64(key[position]) }
    return digest << UInt64(8 * (8 - (key.count - offset)))
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
