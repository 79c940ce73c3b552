import Glibc

/// Where to listen or whom to dial, as people write it: `db1:8079`, `10.0.0.7:8079`, `[::1]:8079`,
/// `:8079` (every interface).
///
/// What is accepted can stand in a URL, a log line and a header as it is: no spaces, no control
/// characters, no user part, nothing but a host and a port.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
  /// RFC 1035, 2.3.4: a label has 1 to 63 octets, a name 253 when written with dots.
  private static let longestName = 253
  private static let longestLabel = 63
  /// Linux: IFNAMSIZ - 1.
  private static let longestZone = 15

  /// A name, an IPv4 address, an IPv6 address without its brackets, or empty.
  package let host: String
  /// 0 lets the kernel choose, when listening.
  package let port: UInt16

  /// Nil where `text` is not a host and a port.
  package init?(_ text: String) {
    let utf8 = text.utf8
    guard let colon = utf8.lastIndex(of: UInt8(ascii: ":")),
      let port = Self.port(utf8[utf8.index(after: colon)...])
    else { return nil }
    let host = utf8[..<colon]
    if host.first == UInt8(ascii: "[") {
      guard host.count > 2, host.last == UInt8(ascii: "]") else { return nil }
      let literal = String(Substring(host.dropFirst().dropLast()))
      guard Self.isIPv6(literal) else { return nil }
      self.init(host: literal, port: port)
    } else {
      guard host.isEmpty || Self.isIPv4(host) || Self.isName(host) else { return nil }
      self.init(host: String(Substring(host)), port: port)
    }
  }

  private init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// The same host with the port the kernel chose.
  package func with(port: UInt16) -> HostPort { HostPort(host: host, port: port) }

  package var description: String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  /// Every interface: an address to listen at, never one to tell others.
  package var isWildcard: Bool {
    if host.isEmpty || host == "0.0.0.0" { return true }
    guard let address = Self.bytes(ofIPv6: host) else { return false }
    return address.allSatisfy { $0 == 0 }
  }

  /// Others can be told to connect here.
  package var isDialable: Bool { !isWildcard && port != 0 }

  // MARK: Grammar

  private static func port(_ digits: Substring.UTF8View) -> UInt16? {
    guard (1...5).contains(digits.count), digits.allSatisfy(isDigit) else { return nil }
    return UInt16(String(Substring(digits)))
  }

  /// Four decimal numbers; `inet_pton` refuses octal, hexadecimal and shortened forms.
  private static func isIPv4(_ host: Substring.UTF8View) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, String(Substring(host)), &address) == 1
  }

  private static func isIPv6(_ literal: String) -> Bool {
    if let percent = literal.utf8.firstIndex(of: UInt8(ascii: "%")) {
      let zone = literal.utf8[percent...].dropFirst()
      guard (1...longestZone).contains(zone.count), zone.allSatisfy(isNameByte) else {
        return false
      }
    }
    return bytes(ofIPv6: literal) != nil
  }

  /// The address before the zone, as 16 bytes.
  private static func bytes(ofIPv6 literal: String) -> [UInt8]? {
    let digits = literal.utf8.prefix { $0 != UInt8(ascii: "%") }
    var address = in6_addr()
    guard inet_pton(AF_INET6, String(Substring(digits)), &address) == 1 else { return nil }
    return withUnsafeBytes(of: &address) { Array($0) }
  }

  /// A host name: labels of letters, digits, `-` and `_`, which container networks use. The last
  /// label is not a number, so that `10.0.0.300` is a mistake and not a name.
  private static func isName(_ host: Substring.UTF8View) -> Bool {
    guard (1...longestName).contains(host.count) else { return false }
    let labels = host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return labels.allSatisfy(isLabel) && !labels.last!.allSatisfy(isDigit)
  }

  private static func isLabel(_ label: Substring.UTF8View) -> Bool {
    (1...longestLabel).contains(label.count) && label.first != UInt8(ascii: "-")
      && label.last != UInt8(ascii: "-")
      && label.allSatisfy { isNameByte($0) && $0 != UInt8(ascii: ".") }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
      true
    default: isDigit(byte)
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
}
