import Glibc

struct Answer {
  var status: Int
  /// Names in lower case.
  var fields: [String: String]
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }

  func number(_ name: String) -> UInt64? { fields[name].flatMap { UInt64($0) } }

  /// Of a 307: the port of `Location`. Every node is on 127.0.0.1.
  var redirectedTo: UInt16? {
    guard let location = fields["location"], location.hasPrefix("http://127.0.0.1:") else {
      return nil
    }
    return UInt16(location.dropFirst("http://127.0.0.1:".count).prefix { $0.isNumber })
  }
}

enum Exchange {
  case answer(Answer)
  /// Not a byte of the request has left.
  case notSent
  /// Sent, or partly; no whole answer came in time.
  case lost
}

/// One keep-alive connection of one client.
final class HTTPConnection {
  private let descriptor: Int32
  private var received: [UInt8] = []
  private(set) var isUsable = true

  init?(to port: UInt16) {
    guard let descriptor = Sockets.connect(to: port) else { return nil }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// After anything but an answer the connection is of no more use.
  func exchange(_ request: [UInt8], until deadline: UInt64) -> Exchange {
    guard let sent = send(request, until: deadline) else { return give(.lost) }
    guard sent == request.count else { return give(sent == 0 ? .notSent : .lost) }
    while true {
      if let answer = takeAnswer() {
        if answer.fields["connection"]?.lowercased() == "close" { isUsable = false }
        return .answer(answer)
      }
      guard receive(until: deadline) else { return give(.lost) }
    }
  }

  private func give(_ exchange: Exchange) -> Exchange {
    isUsable = false
    return exchange
  }

  /// How much was sent before an error or the deadline.
  private func send(_ bytes: [UInt8], until deadline: UInt64) -> Int? {
    var offset = 0
    while offset < bytes.count {
      guard Sockets.wait(descriptor, for: POLLOUT, until: deadline) else { return offset }
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EAGAIN || errno == EINTR { continue }
        return offset
      }
      offset += count
    }
    return offset
  }

  private func receive(until deadline: UInt64) -> Bool {
    guard Sockets.wait(descriptor, for: POLLIN, until: deadline) else { return false }
    let start = received.count
    received.append(contentsOf: repeatElement(0, count: 1 << 16))
    let count = received.withUnsafeMutableBytes {
      recv(descriptor, $0.baseAddress! + start, 1 << 16, 0)
    }
    received.removeLast((1 << 16) - max(count, 0))
    if count < 0 { return errno == EAGAIN || errno == EINTR }
    return count > 0
  }

  private func takeAnswer() -> Answer? {
    let end = Array("\r\n\r\n".utf8)
    guard let head = received.firstRange(of: end) else { return nil }
    let lines = String(decoding: received[..<head.lowerBound], as: UTF8.self)
      .split(separator: "\r\n")
    guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    var fields: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon].lowercased()] =
        String(line[line.index(after: colon)...].drop { $0 == " " })
    }
    let length = fields["content-length"].flatMap { Int($0) } ?? 0
    guard received.count >= head.upperBound + length else { return nil }
    let body = Array(received[head.upperBound..<head.upperBound + length])
    received.removeFirst(head.upperBound + length)
    return Answer(status: status, fields: fields, body: body)
  }
}

/// The connections of one thread, one to each node, made when they are needed.
final class HTTPClient {
  private var connections: [UInt16: HTTPConnection] = [:]

  func request(
    _ method: String, _ target: String, body: [UInt8]? = nil, port: UInt16, patience: Double = 3
  ) -> Exchange {
    if connections[port]?.isUsable != true { connections[port] = HTTPConnection(to: port) }
    guard let connection = connections[port] else { return .notSent }
    var head = "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
    if let body { head += "Content-Length: \(body.count)\r\n" }
    let bytes = Array((head + "\r\n").utf8) + (body ?? [])
    let deadline = Clock.now + UInt64(patience * 1e9)
    let exchange = connection.exchange(bytes, until: deadline)
    if !connection.isUsable { connections[port] = nil }
    return exchange
  }

  /// Follows 307, a few times. For the operator, who asks again when nothing came.
  func answer(
    _ method: String, _ target: String, body: [UInt8]? = nil, port: UInt16, patience: Double = 3
  ) -> Answer? {
    var port = port
    for _ in 0..<4 {
      guard
        case .answer(let answer) = request(
          method, target, body: body, port: port, patience: patience)
      else { return nil }
      guard answer.status == 307, let leader = answer.redirectedTo else { return answer }
      port = leader
    }
    return nil
  }
}
