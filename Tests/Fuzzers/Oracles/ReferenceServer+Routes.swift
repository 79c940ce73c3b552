extension ReferenceServer {
  func route(_ head: Head) throws -> Target {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
    guard known.contains(head.method) else { throw Failed(501) }
    if head.isAsterisk { throw Failed(204) }
    guard let path = Self.decoded(head.path, isQuery: false),
      Self.decoded(head.query, isQuery: true) != nil
    else { throw Failed(400) }
    let allowed: [String]
    switch String(decoding: path, as: UTF8.self) {
    case "/key", "/key/": allowed = known
    case "/join", "/remove": allowed = ["GET", "POST", "OPTIONS"]
    case "/status", "/livez", "/readyz", "/metrics": allowed = ["GET", "HEAD", "OPTIONS"]
    default: throw Failed(404)
    }
    if head.method == "OPTIONS" { throw Failed(204) }
    guard allowed.contains(head.method) else { throw Failed(405) }
    switch String(decoding: path, as: UTF8.self) {
    case "/status": return .request("status")
    case "/livez": return .request("live")
    case "/metrics": return .request("metrics")
    case "/readyz": return .request("ready \(try level(head.query))")
    case "/join": return .request(try join(head.query))
    case "/remove": return .request(try remove(head.query))
    default: return try key(head)
    }
  }

  private func key(_ head: Head) throws -> Target {
    if ["POST", "PUT"].contains(head.method), head.lengths.isEmpty, !head.isChunked {
      throw Failed(411)
    }
    if head.method == "POST" { return .post }
    let name = try level(head.query)
    guard let key = try Self.parameter("key", head.query), (1...4096).contains(key.count) else {
      throw Failed(400)
    }
    switch head.method {
    case "PUT": return .put(key)
    case "DELETE": return .request("delete \(key)")
    default: return .request("get \(key) \(name)")
    }
  }

  private func level(_ query: [UInt8]) throws -> String {
    let level = try Self.parameter("level", query) ?? Array("default".utf8)
    let name = String(decoding: level, as: UTF8.self)
    guard ["default", "stale", "consistent"].contains(name) else { throw Failed(400) }
    return name
  }

  private func join(_ query: [UInt8]) throws -> String {
    let name = try self.name(query)
    let address = try Self.parameter("addr", query) ?? []
    guard ReferenceAuthority.isAddress(address) else { throw Failed(400) }
    let httpAddress = try Self.parameter("haddr", query)
    if let httpAddress, !ReferenceAuthority.isAddress(httpAddress) { throw Failed(400) }
    let texts = [address, httpAddress ?? Array("-".utf8)].map {
      String(decoding: $0, as: UTF8.self)
    }
    return "join \(name) \(texts[0]) \(texts[1])"
  }

  private func remove(_ query: [UInt8]) throws -> String {
    let name = try self.name(query)
    let force = try Self.parameter("force", query) ?? Array("false".utf8)
    switch String(decoding: force, as: UTF8.self) {
    case "true": return "remove \(name) true"
    case "false": return "remove \(name) false"
    default: throw Failed(400)
    }
  }

  private func name(_ query: [UInt8]) throws -> String {
    let name = String(decoding: try Self.parameter("id", query) ?? [], as: UTF8.self)
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-".utf8
    guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(letters.contains) else {
      throw Failed(400)
    }
    return name
  }

  private static func parameter(_ name: String, _ query: [UInt8]) throws -> [UInt8]? {
    var values: [[UInt8]] = []
    for piece in query.split(separator: UInt8(ascii: "&")) {
      let parts = piece.split(
        separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard decoded(Array(parts[0]), isQuery: true) == Array(name.utf8) else { continue }
      values.append(parts.count == 2 ? decoded(Array(parts[1]), isQuery: true)! : [])
    }
    guard values.count <= 1 else { throw Failed(400) }
    return values.first
  }

  /// Nil where a `%` begins no escape. In a path an escaped slash is no slash: it becomes a zero.
  static func decoded(_ bytes: [UInt8], isQuery: Bool) -> [UInt8]? {
    var result: [UInt8] = []
    var rest = bytes[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        let digits = String(decoding: rest.prefix(2), as: UTF8.self)
        guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit),
          let value = UInt8(digits, radix: 16)
        else { return nil }
        rest = rest.dropFirst(2)
        result.append(value == UInt8(ascii: "/") && !isQuery ? 0 : value)
      } else {
        result.append(byte == UInt8(ascii: "+") && isQuery ? 0x20 : byte)
      }
    }
    return result
  }
}

enum ReferenceAuthority {
  static func isValid(_ bytes: [UInt8]) -> Bool {
    guard let (host, port) = split(bytes) else { return false }
    guard let port else { return !host.isEmpty }
    return !host.isEmpty && port.count <= 5 && port.utf8.allSatisfy { 0x30...0x39 ~= $0 }
  }

  static func isAddress(_ bytes: [UInt8]) -> Bool {
    guard bytes.count <= 300, isValid(bytes), let port = split(bytes)?.port,
      let number = Int(port)
    else { return false }
    return (1...65535).contains(number)
  }

  /// In small letters, and without a port that says nothing.
  static func normal(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes, as: UTF8.self).lowercased()
    guard let (host, port) = split(Array(text.utf8)) else { return text }
    return port == nil || port == "" || port == "80" ? host : text
  }

  private static func split(_ bytes: [UInt8]) -> (host: String, port: String?)? {
    guard let text = String(validating: bytes, as: UTF8.self), text.utf8.allSatisfy({ $0 < 128 })
    else { return nil }
    var host = text
    var rest = ""
    if text.hasPrefix("[") {
      guard let close = text.firstIndex(of: "]") else { return nil }
      host = String(text[...close])
      rest = String(text[text.index(after: close)...])
      let inside = host.dropFirst().dropLast()
      guard inside.count >= 2, inside.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else {
        return nil
      }
    } else if let colon = text.firstIndex(of: ":") {
      host = String(text[..<colon])
      rest = String(text[colon...])
    }
    if !host.hasPrefix("[") {
      let others = "-._~%!$&'()*+,;="
      guard host.allSatisfy({ $0.isLetter || $0.isNumber || others.contains($0) }),
        ReferenceServer.decoded(Array(host.utf8), isQuery: false) != nil
      else { return nil }
    }
    guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
    return (host, rest.isEmpty ? nil : String(rest.dropFirst()))
  }
}
