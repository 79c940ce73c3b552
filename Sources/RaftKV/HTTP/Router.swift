/// From method and target to what is asked.
enum Route {
  /// Complete without a body; one that comes is dropped.
  case request(ClientRequest)
  /// The body is the value of this key.
  case put(key: UnsafeRawBufferPointer)
  /// The body is JSON with key and value.
  case post
  case failure(Failure)

  var kind: RequestKind {
    switch self {
    case .request(let request): request.kind
    case .put: .put
    case .post: .post
    case .failure: .invalid
    }
  }
}

struct Router {
  private enum Path {
    case key, join, remove, status, live, ready, metrics

    var methods: MethodSet {
      switch self {
      case .key: .key
      case .join, .remove: .membership
      case .status, .live, .ready, .metrics: .status
      }
    }
  }

  /// Keys that needed decoding lie in `decoded`, and in the bytes otherwise.
  static func route(
    _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, decoded: inout ByteBuffer
  ) -> Route {
    do throws(Failure) {
      return try find(head, bytes, &decoded)
    } catch {
      return .failure(error)
    }
  }

  private static func find(
    _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, _ decoded: inout ByteBuffer
  ) throws(Failure) -> Route {
    guard head.method != .unknown, head.method != .connect else { throw .methodNotImplemented }
    if head.isAsterisk { throw .options(.key) }
    let path = bytes.slice(head.path)
    let query = bytes.slice(head.query)
    if head.isEncoded {
      guard PercentCoding.isValid(path), PercentCoding.isValid(query) else { throw .badEscape }
    }
    guard let found = self.path(path) else { throw .pathNotFound }
    let allowed = found.methods
    if head.method == .options { throw .options(allowed) }
    guard allowed.contains(MethodSet(rawValue: 1 << methodBit(head.method))) else {
      throw .methodNotAllowed(allowed)
    }
    switch found {
    case .key: return try routeKey(head, query, &decoded)
    case .join: return .request(try join(query, &decoded))
    case .remove: return .request(try remove(query, &decoded))
    case .status: return .request(.status)
    case .live: return .request(.live)
    case .metrics: return .request(.metrics)
    case .ready: return .request(.ready(level: try level(query)))
    }
  }

  private static func path(_ path: UnsafeRawBufferPointer) -> Path? {
    if PercentCoding.equals(path: path, "/key") || PercentCoding.equals(path: path, "/key/") {
      return .key
    }
    if PercentCoding.equals(path: path, "/status") { return .status }
    if PercentCoding.equals(path: path, "/livez") { return .live }
    if PercentCoding.equals(path: path, "/readyz") { return .ready }
    if PercentCoding.equals(path: path, "/metrics") { return .metrics }
    if PercentCoding.equals(path: path, "/join") { return .join }
    if PercentCoding.equals(path: path, "/remove") { return .remove }
    return nil
  }

  /// The order of both enumerations is the same, up to the methods that no path has.
  private static func methodBit(_ method: Method) -> UInt8 { method.rawValue }

  private static func routeKey(
    _ head: RequestHead, _ query: UnsafeRawBufferPointer, _ decoded: inout ByteBuffer
  ) throws(Failure) -> Route {
    // Without a length there is no body, but who writes a value means one (RFC 9110 §15.5.12): an
    // empty value must not be stored by a body that got lost.
    if head.method == .post || head.method == .put {
      guard head.statesLength || head.framing == .chunked else { throw .lengthRequired }
    }
    if head.method == .post { return .post }
    var parameters = QueryParameters(query)
    var key: UnsafeRawBufferPointer?
    var level: ReadLevel?
    while let (name, value) = parameters.next() {
      if PercentCoding.equals(query: name, "key") {
        guard key == nil else { throw repeated("key") }
        key = value
      } else if PercentCoding.equals(query: name, "level") {
        guard level == nil else { throw repeated("level") }
        level = try readLevel(value)
      }
    }
    let bytes = try decode(key: key, isEncoded: head.isEncoded, &decoded)
    switch head.method {
    case .put: return .put(key: bytes)
    case .delete: return .request(.delete(key: bytes))
    default: return .request(.get(key: bytes, level: level ?? .leaseBound))
    }
  }

  private static func level(_ query: UnsafeRawBufferPointer) throws(Failure) -> ReadLevel {
    var parameters = QueryParameters(query)
    var level: ReadLevel?
    while let (name, value) = parameters.next() {
      guard PercentCoding.equals(query: name, "level") else { continue }
      guard level == nil else { throw repeated("level") }
      level = try readLevel(value)
    }
    return level ?? .leaseBound
  }

  private static func readLevel(_ value: UnsafeRawBufferPointer) throws(Failure) -> ReadLevel {
    if PercentCoding.equals(query: value, "default") { return .leaseBound }
    if PercentCoding.equals(query: value, "stale") { return .stale }
    if PercentCoding.equals(query: value, "consistent") { return .consistent }
    throw .badRequest("bad_level", "`level` must be `default`, `stale` or `consistent`.")
  }

  private static func decode(
    key: UnsafeRawBufferPointer?, isEncoded: Bool, _ decoded: inout ByteBuffer
  ) throws(Failure) -> UnsafeRawBufferPointer {
    guard var key else { throw .badKey }
    if isEncoded {
      decoded.clear()
      PercentCoding.decode(query: key, into: &decoded)
      key = decoded.readable
    }
    guard 1...HTTPLimits.maximumKey ~= key.count else { throw .badKey }
    return key
  }

  private static func repeated(_ name: String) -> Failure {
    .badRequest("repeated_parameter", "The parameter `\(name)` stands twice; pass it once.")
  }

  // MARK: Membership, rare and in Strings

  private static func join(
    _ query: UnsafeRawBufferPointer, _ decoded: inout ByteBuffer
  ) throws(Failure) -> ClientRequest {
    guard let name = try parameter("id", query, &decoded), isName(name) else { throw badName }
    guard let address = try parameter("addr", query, &decoded), isAddress(address) else {
      throw .badRequest("bad_address", "`addr` must be the node's Raft address, `host:port`.")
    }
    let httpAddress = try parameter("haddr", query, &decoded)
    if let httpAddress, !isAddress(httpAddress) {
      throw .badRequest("bad_address", "`haddr` must be the node's HTTP address, `host:port`.")
    }
    return .join(name: name, raftAddress: address, httpAddress: httpAddress)
  }

  private static func remove(
    _ query: UnsafeRawBufferPointer, _ decoded: inout ByteBuffer
  ) throws(Failure) -> ClientRequest {
    guard let name = try parameter("id", query, &decoded), isName(name) else { throw badName }
    switch try parameter("force", query, &decoded) {
    case nil, "false": return .remove(name: name, force: false)
    case "true": return .remove(name: name, force: true)
    default: throw .badRequest("bad_force", "`force` must be `true` or `false`.")
    }
  }

  private static let badName = Failure.badRequest(
    "bad_id", "`id` must be a node's name, 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`.")

  private static func parameter(
    _ wanted: StaticString, _ query: UnsafeRawBufferPointer, _ decoded: inout ByteBuffer
  ) throws(Failure) -> String? {
    var parameters = QueryParameters(query)
    var found: String?
    while let (name, value) = parameters.next() {
      guard PercentCoding.equals(query: name, wanted) else { continue }
      guard found == nil else { throw repeated("\(wanted)") }
      decoded.clear()
      PercentCoding.decode(query: value, into: &decoded)
      found = String(validating: decoded.readable, as: UTF8.self) ?? ""
    }
    return found
  }

  private static func isName(_ name: String) -> Bool {
    1...Configuration.maximumNameLength ~= name.utf8.count
      && name.utf8.allSatisfy {
        $0.isLetter || $0.isDigit || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
          || $0 == UInt8(ascii: "-")
      }
  }

  private static func isAddress(_ address: String) -> Bool {
    var address = address
    return address.withUTF8 { Authority.isAddress(UnsafeRawBufferPointer($0)) }
  }
}

/// The `name=value` pieces of a query, not yet decoded.
struct QueryParameters {
  private let query: UnsafeRawBufferPointer
  private var offset = 0

  init(_ query: UnsafeRawBufferPointer) { self.query = query }

  mutating func next() -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
    guard offset < query.count else { return nil }
    let end = query.firstIndex(of: UInt8(ascii: "&"), in: offset..<query.count) ?? query.count
    let equals = query.firstIndex(of: UInt8(ascii: "="), in: offset..<end) ?? end
    defer { offset = end + 1 }
    return (query.slice(offset..<equals), query.slice(min(equals + 1, end)..<end))
  }
}
