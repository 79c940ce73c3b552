/// `host[:port]` (RFC 3986 §3.2), in Host fields, targets and the addresses of members. No user
/// name: it has no place in a request (RFC 9110 §4.2.4).
package enum Authority {
  /// Whether the bytes are a host name, an IPv4 address, or an IPv6 one in brackets; a port may
  /// follow.
  package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let end = hostEnd(bytes), end > 0 else { return false }
    guard end < bytes.count else { return true }
    return bytes.count - end - 1 <= 5 && bytes[(end + 1)...].allSatisfy(\.isDigit)
  }

  /// Whether the bytes are `host:port`, the form in which members are dialled.
  package static func isAddress(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count <= Configuration.maximumAddressLength, isValid(bytes),
      let end = hostEnd(bytes), end < bytes.count
    else { return false }
    let port = bytes[(end + 1)...].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    return 1...65535 ~= port
  }

  /// The same host, whatever the case, and the same port, 80 where none is given.
  static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    withoutDefaultPort(left).equalsIgnoringCase(withoutDefaultPort(right))
  }

  private static func withoutDefaultPort(
    _ bytes: UnsafeRawBufferPointer
  ) -> UnsafeRawBufferPointer {
    guard let end = hostEnd(bytes), end < bytes.count else { return bytes }
    let port = bytes.slice(end + 1..<bytes.count)
    return port.isEmpty || port.equals("80") ? bytes.slice(0..<end) : bytes
  }

  /// Where the host ends: at a colon or at the end; nil where it holds a byte that no host has.
  private static func hostEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard let first = bytes.first else { return nil }
    var end = 0
    if first == UInt8(ascii: "[") {
      end = 1
      while end < bytes.count,
        bytes[end].hexadecimalValue != nil || bytes[end] == UInt8(ascii: ":")
          || bytes[end] == UInt8(ascii: ".")
      { end += 1 }
      guard end > 2, end < bytes.count, bytes[end] == UInt8(ascii: "]") else { return nil }
      end += 1
    } else {
      while end < bytes.count, bytes[end].isHostName { end += 1 }
      guard PercentCoding.isValid(bytes.slice(0..<end)) else { return nil }
    }
    return end == bytes.count || bytes[end] == UInt8(ascii: ":") ? end : nil
  }
}
