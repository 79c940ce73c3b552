import CLibUV
import Glibc

/// A numeric address and a port, as the kernel takes them.
package struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  private enum Family: Hashable { case v4, v6 }

  private let family: Family
  /// In host order.
  package private(set) var port: UInt16
  /// Network order; IPv4 uses the first four bytes and leaves the rest zero.
  private let address: (high: UInt64, low: UInt64)
  /// Which link a link-local IPv6 address is on; 0 otherwise.
  private let scope: UInt32

  /// An address of digits: `127.0.0.1`, `::1`, `fe80::1%eth0`, without brackets.
  package init?(numeric host: String, port: UInt16) {
    var v4 = sockaddr_in()
    var v6 = sockaddr_in6()
    if uv_ip4_addr(host, Int32(port), &v4) == 0 {
      self.init(v4)
    } else if uv_ip6_addr(host, Int32(port), &v6) == 0 {
      self.init(v6)
    } else {
      return nil
    }
  }

  /// Every interface, in order of preference: IPv6, which Linux lets accept IPv4 as well, then IPv4
  /// alone for hosts without IPv6.
  package static func wildcards(port: UInt16) -> [SocketAddress] {
    [SocketAddress(numeric: "::", port: port)!, SocketAddress(numeric: "0.0.0.0", port: port)!]
  }

  var isWildcard: Bool { address == (0, 0) }

  func with(port: UInt16) -> SocketAddress {
    var copy = self
    copy.port = port
    return copy
  }

  private init(_ v4: sockaddr_in) {
    family = .v4
    port = UInt16(bigEndian: v4.sin_port)
    address = (UInt64(v4.sin_addr.s_addr), 0)
    scope = 0
  }

  private init(_ v6: sockaddr_in6) {
    family = .v6
    port = UInt16(bigEndian: v6.sin6_port)
    address = withUnsafeBytes(of: v6.sin6_addr) {
      ($0.load(as: UInt64.self), $0.load(fromByteOffset: 8, as: UInt64.self))
    }
    scope = v6.sin6_scope_id
  }

  /// Nil where the family is neither IPv4 nor IPv6.
  init?(_ pointer: UnsafePointer<sockaddr>) {
    let raw = UnsafeRawPointer(pointer)
    switch Int32(pointer.pointee.sa_family) {
    case AF_INET: self.init(raw.loadUnaligned(as: sockaddr_in.self))
    case AF_INET6: self.init(raw.loadUnaligned(as: sockaddr_in6.self))
    default: return nil
    }
  }

  /// What a function like `uv_tcp_getsockname` fills in; nil where it fails.
  init?(_ read: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>) -> Int32) {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    let address = withUnsafeMutablePointer(to: &storage) { storage in
      let pointer = UnsafeMutableRawPointer(storage).assumingMemoryBound(to: sockaddr.self)
      return read(pointer, &length) == 0 ? SocketAddress(UnsafePointer(pointer)) : nil
    }
    guard let address else { return nil }
    self = address
  }

  func withPointer<Result>(_ body: (UnsafePointer<sockaddr>) -> Result) -> Result {
    switch family {
    case .v4:
      var v4 = self.v4
      return withUnsafePointer(to: &v4) {
        body(UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self))
      }
    case .v6:
      var v6 = self.v6
      return withUnsafePointer(to: &v6) {
        body(UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self))
      }
    }
  }

  private var v4: sockaddr_in {
    var v4 = sockaddr_in()
    v4.sin_family = sa_family_t(AF_INET)
    v4.sin_port = port.bigEndian
    v4.sin_addr.s_addr = UInt32(address.high)
    return v4
  }

  private var v6: sockaddr_in6 {
    var v6 = sockaddr_in6()
    v6.sin6_family = sa_family_t(AF_INET6)
    v6.sin6_port = port.bigEndian
    v6.sin6_scope_id = scope
    withUnsafeMutableBytes(of: &v6.sin6_addr) {
      $0.storeBytes(of: address.high, as: UInt64.self)
      $0.storeBytes(of: address.low, toByteOffset: 8, as: UInt64.self)
    }
    return v6
  }

  /// `127.0.0.1:8079`, `[::1]:8079`.
  package var description: String {
    let host = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
      switch family {
      case .v4:
        var v4 = self.v4
        uv_ip4_name(&v4, text.baseAddress, text.count)
      case .v6:
        var v6 = self.v6
        uv_ip6_name(&v6, text.baseAddress, text.count)
      }
      return String(cString: text.baseAddress!)
    }
    return family == .v4 ? "\(host):\(port)" : "[\(host)]:\(port)"
  }

  package static func == (left: SocketAddress, right: SocketAddress) -> Bool {
    left.family == right.family && left.port == right.port && left.address == right.address
      && left.scope == right.scope
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(port)
    hasher.combine(address.high)
    hasher.combine(address.low)
  }
}
