import Glibc

/// A blocking connection of an HTTP client that can also misbehave.
final class Connection {
  private let descriptor: Int32
  private var received: [UInt8] = []
  /// How long one answer, or one write, may take.
  private let patience: Double

  /// `address` is `127.0.0.1:8079` or `[::1]:8079`.
  init(to address: String, patience: Double = 60) throws {
    self.patience = patience
    let colon = address.lastIndex(of: ":")!
    var host = String(address[..<colon])
    let port = UInt16(address[address.index(after: colon)...])!
    let isV6 = host.hasPrefix("[")
    if isV6 { host = String(host.dropFirst().dropLast()) }
    if host == "localhost" { host = "127.0.0.1" }
    descriptor = socket(isV6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue) | Self.cloexec, 0)
    guard descriptor >= 0 else { throw ClientError.system("socket", errno) }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    let status = isV6 ? connectV6(host, port) : connectV4(host, port)
    guard status == 0 else {
      let code = errno
      // `deinit` closes: every property has its value.
      throw code == ECONNREFUSED ? ClientError.refused : ClientError.system("connect", code)
    }
  }

  deinit { close(descriptor) }

  private static var cloexec: Int32 { Int32(SOCK_CLOEXEC.rawValue) }

  private func connectV4(_ host: String, _ port: UInt16) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, host, &address.sin_addr)
    return withUnsafePointer(to: &address) {
      connect(
        descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self),
        socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }

  private func connectV6(_ host: String, _ port: UInt16) -> Int32 {
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    inet_pton(AF_INET6, host, &address.sin6_addr)
    return withUnsafePointer(to: &address) {
      connect(
        descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self),
        socklen_t(MemoryLayout<sockaddr_in6>.size))
    }
  }

  // MARK: Sending

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    var offset = 0
    while offset < bytes.count {
      try wait(for: POLLOUT)
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress! + offset, bytes.count - offset,
          Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count < 0 {
        if errno == EAGAIN || errno == EINTR { continue }
        throw ClientError.hungUp
      }
      offset += count
    }
  }

  func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

  // MARK: Receiving

  /// Whether the other side has hung up, with nothing left to read.
  var isClosedByPeer: Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
  }

  /// Something has come that was not read yet.
  var hasReceived: Bool {
    var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return !received.isEmpty || poll(&item, 1, 0) > 0
  }

  /// The next answer. Answers of the 100s come as answers of their own.
  func response(isHead: Bool = false) throws -> Response {
    var response: Response?
    while response == nil {
      response = try takeHead()
      if response == nil { try receive() }
    }
    let hasNoBody = isHead || response!.status < 200 || response!.status == 204
    guard !hasNoBody else { return response! }
    guard let length = response!["Content-Length"].flatMap(Int.init) else {
      throw ClientError.malformed("an answer without Content-Length")
    }
    while received.count < length { try receive() }
    response!.body = Array(received[..<length])
    received.removeFirst(length)
    return response!
  }

  /// Everything until the other side hangs up.
  func receiveAll() throws -> [UInt8] {
    do { while true { try receive() } } catch ClientError.hungUp {}
    defer { received = [] }
    return received
  }

  private func takeHead() throws -> Response? {
    let end: [UInt8] = [13, 10, 13, 10]
    guard received.count >= 4,
      let start = (0...received.count - 4).first(where: {
        received[$0] == 13 && Array(received[$0..<$0 + 4]) == end
      })
    else { return nil }
    let head = String(decoding: received[..<start], as: UTF8.self)
    received.removeFirst(start + 4)
    let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
    let first = lines[0].split(separator: " ", maxSplits: 2)
    guard first.count == 3, first[0] == "HTTP/1.1", let status = Int(first[1]) else {
      throw ClientError.malformed("the status line '\(lines[0])'")
    }
    let fields = try lines.dropFirst().map { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { throw ClientError.malformed("the field '\(line)'") }
      return (String(parts[0]), String(parts[1].drop { $0 == " " }))
    }
    return Response(status: status, fields: fields, body: [])
  }

  private func receive() throws {
    try wait(for: POLLIN)
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &chunk, chunk.count, 0)
    if count < 0 && errno == EINTR { return }
    guard count > 0 else { throw ClientError.hungUp }
    received += chunk[..<count]
  }

  private func wait(for event: Int32) throws {
    let deadline = Clock.now + patience
    while true {
      let left = deadline - Clock.now
      guard left > 0 else { throw ClientError.timedOut("an answer within \(patience) s") }
      var item = pollfd(fd: descriptor, events: Int16(event), revents: 0)
      if poll(&item, 1, Int32(min(left, 60) * 1000) + 1) > 0 { return }
    }
  }
}
