/// The few words of HTTP that a node speaks as a client: `GET /join` to be let in, and
/// `GET /status` to see whether somebody is already there. Redirects are followed; the
/// answer comes in one piece.
package final class JoinClient {
  package struct Answer: Equatable, Sendable {
    package var status: Int
    package var body: [UInt8]
  }

  package enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
    case unreachable(String)
    case malformedAnswer
    case tooLarge
    case hungUp
    /// A redirect without a usable `Location: http://host:port/…`.
    case badRedirect
    case tooManyRedirects

    package var description: String {
      switch self {
      case .unreachable(let reason): "no connection: \(reason)"
      case .malformedAnswer: "the answer is not HTTP"
      case .tooLarge: "the answer is larger than \(HTTPAnswer.maximumSize) bytes"
      case .hungUp: "the connection ended before the answer was whole"
      case .badRedirect: "the answer redirects to no usable address"
      case .tooManyRedirects: "the answer redirects too often"
      }
    }
  }

  /// A follower sends us to the leader; leadership may move while we go. More is
  /// two nodes naming each other.
  static let maximumRedirects = 5

  private let loop: EventLoop
  private var completion: ((Result<Answer, Failure>) -> Void)?
  private var redirects = 0
  private var dial: Dial?
  private var stream: Stream?
  private var received = ByteBuffer()

  private init(_ loop: EventLoop, _ completion: @escaping (Result<Answer, Failure>) -> Void) {
    self.loop = loop
    self.completion = completion
  }

  /// Asks the node at `address` to let `local` into its cluster. `completion` is called once, not
  /// after `cancel`; how long to wait is the caller's business.
  package static func join(
    _ loop: EventLoop, at address: String, name: String, raftAddress: String,
    httpAddress: String, completion: @escaping (Result<Answer, Failure>) -> Void
  ) -> JoinClient {
    let target =
      "/join?id=\(escaped(name))&addr=\(escaped(raftAddress))&haddr=\(escaped(httpAddress))"
    return get(loop, address, target, completion)
  }

  package static func status(
    _ loop: EventLoop, at address: String,
    completion: @escaping (Result<Answer, Failure>) -> Void
  ) -> JoinClient {
    get(loop, address, "/status", completion)
  }

  private static func get(
    _ loop: EventLoop, _ address: String, _ target: String,
    _ completion: @escaping (Result<Answer, Failure>) -> Void
  ) -> JoinClient {
    let client = JoinClient(loop, completion)
    client.request(target, from: address)
    return client
  }

  package func cancel() {
    completion = nil
    hangUp()
  }

  // MARK: One request

  private func request(_ target: String, from address: String) {
    let dial = Dial(loop)
    self.dial = dial
    dial.start(address) { [self] result in
      self.dial = nil
      switch result {
      case .success(let stream): send(target, to: address, on: stream)
      case .failure(let failure): finish(.failure(.unreachable(failure.description)))
      }
    }
  }

  private func send(_ target: String, to address: String, on stream: Stream) {
    self.stream = stream
    received.clear()
    // A stream that was hung up in favour of another has nothing more to say.
    stream.didRead = { [self, unowned stream] bytes in
      if stream === self.stream { didRead(bytes) }
    }
    stream.didEnd = { [self, unowned stream] in
      if stream === self.stream { judge(isComplete: true) }
    }
    stream.didClose = { [self, unowned stream] _ in
      if stream === self.stream { finish(.failure(.hungUp)) }
    }
    var request = ByteBuffer()
    request.append(text: "GET \(target) HTTP/1.1\r\nHost: \(address)\r\n")
    request.append(text: "User-Agent: raftkvd\r\nConnection: close\r\n\r\n")
    stream.write(request.readable)
  }

  private func didRead(_ bytes: UnsafeRawBufferPointer) {
    guard received.count + bytes.count <= HTTPAnswer.maximumSize else {
      return finish(.failure(.tooLarge))
    }
    received.append(bytes)
    judge(isComplete: false)
  }

  /// `isComplete`: nothing more will come.
  private func judge(isComplete: Bool) {
    switch HTTPAnswer.parse(received.readable, isComplete: isComplete) {
    case .needsMore:
      if isComplete { finish(.failure(.hungUp)) }
    case .malformed:
      finish(.failure(.malformedAnswer))
    case .answer(let answer):
      if answer.status == 307 || answer.status == 308 { return follow(answer.location) }
      finish(.success(Answer(status: answer.status, body: answer.body)))
    }
  }

  private func follow(_ location: String?) {
    guard let location, let (address, target) = Self.split(location) else {
      return finish(.failure(.badRedirect))
    }
    guard redirects < Self.maximumRedirects else { return finish(.failure(.tooManyRedirects)) }
    redirects += 1
    hangUp()
    request(target, from: address)
  }

  private func hangUp() {
    dial?.cancel()
    dial = nil
    let stream = stream
    self.stream = nil
    stream?.close()
  }

  private func finish(_ result: Result<Answer, Failure>) {
    hangUp()
    guard let completion else { return }
    self.completion = nil
    completion(result)
  }

  // MARK: Addresses

  /// `http://host:port/target` in its two parts. We do not speak anything but plain HTTP, and a
  /// control character would let the answer write our next request's head.
  static func split(_ location: String) -> (address: String, target: String)? {
    let scheme = "http://"
    guard location.hasPrefix(scheme), location.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      return nil
    }
    let rest = location.utf8.dropFirst(scheme.utf8.count)
    let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
    guard let address = String(rest[..<slash]), let hostPort = HostPort(address),
      hostPort.port != 0, let target = String(rest[slash...])
    else { return nil }
    return (address, target.isEmpty ? "/" : target)
  }

  /// Percent-encoded for a query, all but RFC 3986's unreserved characters.
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        escaped.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        escaped += byte < 16 ? "%0\(digits)" : "%\(digits)"
      }
    }
    return escaped
  }
}
