/// Appends whole responses to a connection's output. Status lines and fields that never vary are
/// static bytes; nothing a client sent reaches a header but the target of a redirect, re-encoded.
struct ResponseWriter: ~Copyable {
  /// What a response must know of its request.
  struct Context {
    enum Persistence: UInt8 {
      /// HTTP/1.1 as ever: nothing to say.
      case implied
      /// HTTP/1.0 that asked for it.
      case announced
      case closes
    }
    var isHead: Bool
    var persistence: Persistence
    /// What the request is counted as.
    var kind = RequestKind.invalid
  }

  /// Repeated in the response that is being written; empty: none. Borrowed.
  private var requestID = UnsafeRawBufferPointer(start: nil, count: 0)
  /// A JSON body before its length is known.
  private var body = ByteBuffer()

  /// `target` is the path and query as sent; a redirect repeats it.
  mutating func write(
    _ reply: Reply, _ context: Context, target: UnsafeRawBufferPointer,
    requestID: UnsafeRawBufferPointer, to output: inout ByteBuffer
  ) {
    self.requestID = requestID
    switch reply {
    case .value(let entry, let staleness):
      writeValue(entry, staleness, context, to: &output)
    case .notFound(let staleness):
      let failure = Failure(
        status: 404, code: "key_not_found", message: "There is no value under this key.")
      write(failure, staleness, context, to: &output)
    case .written(let index):
      writeBody("{\"index\":")
      body.append(decimal: index.rawValue)
      finish(200, context, to: &output)
    case .deleted(let index, let existed):
      writeBody("{\"index\":")
      body.append(decimal: index.rawValue)
      body.append(existed ? ",\"deleted\":true" as StaticString : ",\"deleted\":false")
      finish(200, context, to: &output)
    case .joined(let member):
      writeBody("{")
      appendMember(member)
      finish(200, context, to: &output)
    case .removed(let name, let index):
      writeBody("{\"id\":")
      body.append(json: name)
      body.append(",\"index\":" as StaticString)
      body.append(decimal: index.rawValue)
      finish(200, context, to: &output)
    case .status(let status):
      writeStatus(status)
      finish(200, context, to: &output)
    case .healthy(let status, let reason):
      writeBody("{\"status\":\"")
      body.append(status)
      body.append("\",\"reason\":" as StaticString)
      body.append(json: reason)
      finish(200, context, to: &output)
    case .metrics(let text):
      appendStatusLine(200, to: &output)
      output.append("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" as StaticString)
      endHead(length: text.count, context, to: &output)
      if !context.isHead { output.append(text) }
    case .redirect(let leader, let address):
      writeRedirect(leader, address, context, target, to: &output)
    case .failure(let failure):
      write(failure, nil, context, to: &output)
    }
  }

  // MARK: Values

  private func writeValue(
    _ entry: Entry, _ staleness: Staleness?, _ context: Context, to output: inout ByteBuffer
  ) {
    output.append(
      """
      HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
      X-Content-Type-Options: nosniff\r\nX-RaftKV-Index: 
      """ as StaticString)
    output.append(decimal: entry.modifyIndex.rawValue)
    output.append("\r\n" as StaticString)
    append(staleness, to: &output)
    let value = entry.value
    endHead(length: value.count, context, to: &output)
    if !context.isHead { output.append(value) }
  }

  /// `X-RaftKV-Last-Contact` says `never` on a node that has not heard from any leader yet.
  private func append(_ staleness: Staleness?, to output: inout ByteBuffer) {
    guard let staleness else { return }
    output.append("X-RaftKV-Last-Contact: " as StaticString)
    if let lastContact = staleness.lastContact {
      output.append(decimal: lastContact)
    } else {
      output.append("never" as StaticString)
    }
    output.append("\r\nX-RaftKV-Applied-Index: " as StaticString)
    output.append(decimal: staleness.appliedIndex.rawValue)
    output.append("\r\n" as StaticString)
  }

  // MARK: Failures and redirects

  private mutating func write(
    _ failure: Failure, _ staleness: Staleness?, _ context: Context, to output: inout ByteBuffer
  ) {
    appendStatusLine(failure.status, to: &output)
    if let allowed = failure.allowed {
      output.append("Allow: " as StaticString)
      output.append(allowed)
      output.append("\r\n" as StaticString)
    }
    if let seconds = failure.retryAfter {
      output.append("Retry-After: " as StaticString)
      output.append(decimal: seconds)
      output.append("\r\n" as StaticString)
    }
    append(staleness, to: &output)
    guard failure.status != 204 else {
      endHead(length: nil, context, to: &output)
      return
    }
    writeBody("{\"error\":")
    body.append(json: failure.code)
    body.append(",\"message\":" as StaticString)
    body.append(json: failure.message)
    finishHead(context, to: &output)
  }

  private mutating func writeRedirect(
    _ leader: String, _ address: String, _ context: Context, _ target: UnsafeRawBufferPointer,
    to output: inout ByteBuffer
  ) {
    appendStatusLine(307, to: &output)
    output.append("Location: http://" as StaticString)
    var copy = address
    copy.withUTF8 { output.append(uri: UnsafeRawBufferPointer($0)) }
    if target.first != UInt8(ascii: "/") { output.append(UInt8(ascii: "/")) }
    output.append(uri: target)
    output.append("\r\n" as StaticString)
    writeBody("{\"error\":\"not_leader\",\"message\":")
    body.append(json: "This node is not the leader; send the request to http://\(address).")
    body.append(",\"leader\":{\"id\":" as StaticString)
    body.append(json: leader)
    body.append(",\"haddr\":" as StaticString)
    body.append(json: address)
    body.append(UInt8(ascii: "}"))
    finishHead(context, to: &output)
  }

  // MARK: Status

  private mutating func writeStatus(_ status: Status) {
    writeBody("{\"version\":")
    body.append(json: status.version)
    body.append(",\"clusterId\":" as StaticString)
    body.append(json: status.clusterID.description)
    body.append(",\"id\":" as StaticString)
    body.append(json: status.name)
    body.append(",\"role\":" as StaticString)
    body.append(json: status.role)
    appendNumber(",\"term\":", status.term.rawValue)
    body.append(",\"leader\":" as StaticString)
    if let leader = status.leader {
      body.append("{\"id\":" as StaticString)
      body.append(json: leader.name)
      body.append(",\"haddr\":" as StaticString)
      body.append(json: leader.httpAddress)
      body.append(UInt8(ascii: "}"))
    } else {
      body.append("null" as StaticString)
    }
    appendNumber(",\"lastIndex\":", status.lastIndex.rawValue)
    appendNumber(",\"commitIndex\":", status.commitIndex.rawValue)
    appendNumber(",\"appliedIndex\":", status.appliedIndex.rawValue)
    body.append(",\"stateHash\":\"" as StaticString)
    body.append(hexadecimal: status.stateHash.high)
    body.append(hexadecimal: status.stateHash.low)
    appendNumber("\",\"uptimeMs\":", UInt64(status.uptime.milliseconds))
    body.append(",\"members\":[" as StaticString)
    for (position, member) in status.members.enumerated() {
      body.append(position == 0 ? "{" as StaticString : ",{")
      appendMember(member.member)
      appendNumber(",\"matchIndex\":", member.matchIndex?.rawValue)
      appendNumber(",\"lastContactMs\":", member.lastContact.map(UInt64.init))
      body.append(UInt8(ascii: "}"))
    }
    body.append(UInt8(ascii: "]"))
  }

  private mutating func appendNumber(_ name: StaticString, _ value: UInt64?) {
    body.append(name)
    if let value { body.append(decimal: value) } else { body.append("null" as StaticString) }
  }

  private mutating func appendMember(_ member: Configuration.Member) {
    body.append("\"id\":" as StaticString)
    body.append(json: member.name)
    body.append(",\"addr\":" as StaticString)
    body.append(json: member.raftAddress)
    body.append(",\"haddr\":" as StaticString)
    body.append(json: member.httpAddress)
    body.append(",\"role\":" as StaticString)
    body.append(json: member.role.description)
  }

  // MARK: Parts

  /// Begins a JSON object; `finish` closes it.
  private mutating func writeBody(_ beginning: StaticString) {
    body.clear(keeping: HTTPLimits.idleBuffer)
    body.append(beginning)
  }

  private mutating func finish(
    _ status: Int, _ context: Context, to output: inout ByteBuffer
  ) {
    appendStatusLine(status, to: &output)
    finishHead(context, to: &output)
  }

  private mutating func finishHead(_ context: Context, to output: inout ByteBuffer) {
    body.append(UInt8(ascii: "}"))
    output.append("Content-Type: application/json\r\n" as StaticString)
    endHead(length: body.count, context, to: &output)
    if !context.isHead { output.append(body.readable) }
  }

  private func endHead(length: Int?, _ context: Context, to output: inout ByteBuffer) {
    if let length {
      output.append("Content-Length: " as StaticString)
      output.append(decimal: length)
      output.append("\r\n" as StaticString)
    }
    if requestID.count > 0 {
      output.append("X-Request-Id: " as StaticString)
      output.append(requestID)
      output.append("\r\n" as StaticString)
    }
    switch context.persistence {
    case .implied: output.append("\r\n" as StaticString)
    case .announced: output.append("Connection: keep-alive\r\n\r\n" as StaticString)
    case .closes: output.append("Connection: close\r\n\r\n" as StaticString)
    }
  }

  private func appendStatusLine(_ status: Int, to output: inout ByteBuffer) {
    if status == 200 {
      output.append("HTTP/1.1 200 OK\r\n" as StaticString)
      return
    }
    output.append("HTTP/1.1 " as StaticString)
    output.append(decimal: status)
    output.append(" " as StaticString)
    output.append(Self.reason(status))
    output.append("\r\n" as StaticString)
  }

  private static func reason(_ status: Int) -> StaticString {
    switch status {
    case 204: return "No Content"
    case 307: return "Temporary Redirect"
    case 400: return "Bad Request"
    case 404: return "Not Found"
    case 405: return "Method Not Allowed"
    case 408: return "Request Timeout"
    case 409: return "Conflict"
    case 411: return "Length Required"
    case 413: return "Content Too Large"
    case 414: return "URI Too Long"
    case 417: return "Expectation Failed"
    case 429: return "Too Many Requests"
    case 431: return "Request Header Fields Too Large"
    case 500: return "Internal Server Error"
    case 501: return "Not Implemented"
    case 503: return "Service Unavailable"
    case 504: return "Gateway Timeout"
    case 505: return "HTTP Version Not Supported"
    case 507: return "Insufficient Storage"
    default: return "Error"
    }
  }
}
