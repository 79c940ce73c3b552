import RaftKV

/// What a response says, against what the replica has said: README's table of HTTP, read from the
/// client's side.
extension Response {
  /// Why this is not how `reply` looks; nil if it is.
  func mismatch(with reply: Reply, target: String, isHead: Bool) -> String? {
    switch reply {
    case .value(let entry, let staleness):
      return withExtendedLifetime(entry) {
        mismatch(200, body: Array(entry.value), isHead)
          ?? mismatch("x-raftkv-index", "\(entry.modifyIndex)") ?? mismatch(staleness)
      }
    case .notFound(let staleness):
      return mismatch(404, code: "key_not_found", isHead) ?? mismatch(staleness)
    case .written(let index):
      return mismatch(200, body: Array("{\"index\":\(index)}".utf8), isHead)
    case .deleted(let index, let existed):
      return mismatch(200, body: Array("{\"index\":\(index),\"deleted\":\(existed)}".utf8), isHead)
    case .joined(let member):
      return status == 200 && text.contains("\"id\":\"\(member.name)\"")
        ? nil : "\(member.name) has joined"
    case .removed(let name, let index):
      return mismatch(200, body: Array("{\"id\":\"\(name)\",\"index\":\(index)}".utf8), isHead)
    case .status(let status):
      guard self.status == 200 else { return "200 is due" }
      return isHead || text.contains("\"term\":\(status.term),")
        ? nil : "the term is \(status.term)"
    case .healthy(let status, _):
      return self.status == 200 && (isHead || text.hasPrefix("{\"status\":\"\(status)\""))
        ? nil : "it is \(status)"
    case .metrics(let text): return mismatch(200, body: text, isHead)
    case .redirect(_, let address):
      return mismatch(307, code: "not_leader", isHead)
        ?? mismatch("location", "http://\(address)\(target)")
    case .failure(let failure):
      return mismatch(failure.status, code: failure.code, isHead)
        ?? mismatch("retry-after", failure.retryAfter.map { "\($0)" })
    }
  }

  private func mismatch(_ name: String, _ expected: String?) -> String? {
    field(name) == expected ? nil : "\(name) should be \(expected ?? "absent")"
  }

  private func mismatch(_ expected: Int, body: [UInt8], _ isHead: Bool) -> String? {
    guard status == expected else { return "\(expected) is due" }
    guard self.body == (isHead ? [] : body) else { return "the body is another" }
    return mismatch("content-length", "\(body.count)")
  }

  private func mismatch(_ expected: Int, code: String, _ isHead: Bool) -> String? {
    guard status == expected else { return "\(expected) \(code) is due" }
    return isHead || errorCode == code ? nil : "\(code) is due"
  }

  private func mismatch(_ staleness: Staleness?) -> String? {
    let lastContact = staleness.map { $0.lastContact.map { "\($0)" } ?? "never" }
    return mismatch("x-raftkv-last-contact", lastContact)
      ?? mismatch("x-raftkv-applied-index", staleness.map { "\($0.appliedIndex)" })
  }

  /// Of `{"error":"a_code","message":"A sentence."}`.
  private var errorCode: String? {
    let start = "{\"error\":\"".utf8
    guard body.starts(with: start) else { return nil }
    let code = body.dropFirst(start.count).prefix { $0 != UInt8(ascii: "\"") }
    return String(decoding: code, as: UTF8.self)
  }

  // MARK: To the client

  func answer(to request: Request, in world: World) -> Answer {
    switch status {
    case 200: return success(request, world)
    case 307:
      let address = field("location")?.split(separator: "/").dropFirst().first
      return .redirect(host: world.hosts.firstIndex { $0.httpAddress == address ?? "" } ?? 0)
    case 404 where errorCode == "key_not_found": return .notFound(staleness)
    case 504: return .unknown
    default:
      return .refused(Failure(status: status, code: errorCode ?? "", message: ""))
    }
  }

  private func success(_ request: Request, _ world: World) -> Answer {
    let index = LogIndex(number(after: "\"index\":") ?? 0)
    switch request.action {
    case .put: return .written(index)
    case .delete: return .deleted(index, existed: text.contains("\"deleted\":true"))
    case .join, .remove: return .changed
    case .get:
      guard body.count >= 8 else {
        world.fail(.http, "a value of \(body.count) bytes, which nobody ever wrote")
        return .unknown
      }
      let value = body.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      if body != Request.valueBytes(value, size: body.count) {
        world.fail(.http, "value \(value) comes back with other bytes than it had")
      }
      let modified = field("x-raftkv-index").flatMap { UInt64($0) } ?? 0
      return .value(id: value, modifyIndex: LogIndex(modified), staleness)
    }
  }

  private var staleness: Staleness? {
    guard let applied = field("x-raftkv-applied-index").flatMap({ UInt64($0) }) else { return nil }
    let contact = field("x-raftkv-last-contact").flatMap { Int($0) }
    return Staleness(lastContact: contact, appliedIndex: LogIndex(applied))
  }

  private func number(after name: String) -> UInt64? {
    guard let range = body.firstRange(of: name.utf8) else { return nil }
    let digits = body[range.upperBound...].prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    return UInt64(String(decoding: digits, as: UTF8.self))
  }
}

extension EncodedRequest {
  /// Whether `request`, which the server has made of these bytes, is what they mean.
  func asks(_ request: ClientRequest, in world: World) -> Bool {
    switch (expectation, request) {
    case (.status, .status): return true
    case (.replica(.get(let level), let key), .get(let bytes, let asked)):
      return level == asked && Self.isKey(bytes, key)
    case (.replica(.put(let value, let size), let key), .put(let bytes, let content)):
      return Self.isKey(bytes, key) && Array(content) == Request.valueBytes(value, size: size)
    case (.replica(.delete, let key), .delete(let bytes)): return Self.isKey(bytes, key)
    case (.replica(.join(let host), _), .join(let name, let address, let httpAddress)):
      let joining = world.hosts[host]
      // The node may have moved since this was sent.
      return name == joining.name && address.hasPrefix("\(joining.name):")
        && httpAddress == joining.httpAddress
    case (.replica(.remove(let name, let force), _), .remove(let asked, let isForced)):
      return name == asked && force == isForced
    default: return false
    }
  }

  private static func isKey(_ bytes: UnsafeRawBufferPointer, _ key: Int) -> Bool {
    Array(bytes) == [0x6b, UInt8(key)]
  }
}
