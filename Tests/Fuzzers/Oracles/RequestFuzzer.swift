import RaftKV

/// One client connection's bytes.
///
/// Rules: the same outcome however the bytes are cut; the outcome that the reference has; nothing
/// consumed past the end; a head parsed again from its own bytes is the same, and from one byte
/// less is not there yet.
package enum RequestFuzzer: Fuzzer {
  package static let name = "request"
  private static let maximumValue = 1 << 10

  package static func judge(_ input: [UInt8]) throws {
    try judgeHead(input)
    let whole = run([input[...]])
    let expected = ReferenceServer.serve(input, maximumValue: maximumValue)
    try compare(whole, expected)
    // A body that is waited for is invited or not by what has come with its head.
    guard !String(decoding: input, as: UTF8.self).lowercased().contains("100-continue") else {
      return
    }
    for pieces in splittings(of: input) {
      let other = run(pieces)
      try require(other == whole, "in \(pieces.count) pieces: \(other)\nin one: \(whole)")
    }
  }

  private static func judgeHead(_ input: [UInt8]) throws {
    try withExactCopy(input) { bytes in
      var parser = RequestParser()
      guard case .head(let head) = parser.parse(bytes) else { return }
      try require(head.length <= bytes.count, "a head longer than its input")
      for range in [head.path, head.query] {
        try require(range.upperBound <= head.length, "a range beyond the head")
      }
      let own = UnsafeRawBufferPointer(rebasing: bytes[..<head.length])
      try require(parser.parse(own) == .head(head), "a head is another in its own bytes")
      let short = UnsafeRawBufferPointer(rebasing: bytes[..<(head.length - 1)])
      try require(parser.parse(short) == .needMore, "a head is whole without its last byte")
    }
  }

  // MARK: The server's side

  struct Run: Equatable {
    var asked: [String] = []
    var output = ""
    var closing = ""

    /// Of the final responses, in order.
    var statuses: [Int] {
      var rest = Array(output.utf8)[...]
      var statuses: [Int] = []
      let mark = Array("HTTP/1.1 ".utf8)
      while let start = rest.firstIndex(of: mark[0]) {
        rest = rest[start...]
        let digits = String(decoding: rest.dropFirst(mark.count).prefix(3), as: UTF8.self)
        if rest.starts(with: mark), let status = Int(digits), status != 100 {
          statuses.append(status)
        }
        rest = rest.dropFirst()
      }
      return statuses
    }
  }

  static func run(_ pieces: [ArraySlice<UInt8>]) -> Run {
    let recorder = Recorder()
    var connection = HTTPConnection(
      id: 1, generation: 1, limits: HTTPLimits(maximumValue: maximumValue), handler: recorder,
      now: .zero)
    for piece in pieces where !piece.isEmpty {
      withExactCopy(piece) { connection.receive($0, at: .zero) }
    }
    var run = Run(asked: recorder.asked)
    while !connection.output.isEmpty {
      run.output += String(decoding: connection.output.readable, as: UTF8.self)
      connection.didWrite(connection.output.count, at: .zero)
    }
    run.asked = recorder.asked
    run.closing = "\(connection.closing)"
    return run
  }

  private final class Recorder: RequestHandler {
    var asked: [String] = []

    func handle(_ request: ClientRequest, token: RequestToken) -> Disposition {
      switch request {
      case .get(let key, let level): asked.append("get \(Array(key)) \(Self.name(level))")
      case .live: asked.append("live")
      case .metrics: asked.append("metrics")
      case .ready(let level): asked.append("ready \(Self.name(level))")
      case .put(let key, let value): asked.append(ReferenceServer.describePut(key, value))
      case .delete(let key): asked.append("delete \(Array(key))")
      case .join(let name, let raft, let http): asked.append("join \(name) \(raft) \(http ?? "-")")
      case .remove(let name, let force): asked.append("remove \(name) \(force)")
      case .status: asked.append("status")
      }
      return .reply(.written(LogIndex(7)))
    }

    private static func name(_ level: ReadLevel) -> String {
      level == .leaseBound ? "default" : "\(level)"
    }
  }

  private static func compare(_ run: Run, _ expected: ReferenceServer.Outcome) throws {
    let statuses = run.statuses
    let said = "the server \(statuses) \(run.closing), the reference \(expected)"
    try require(run.asked == expected.asked, "other requests: \(run.asked), \(expected.asked)")
    switch expected.end {
    case .open: try require(statuses == expected.statuses && run.closing == "no", said)
    case .closed: try require(statuses == expected.statuses && run.closing != "no", said)
    case .incomplete:
      let isRefused = statuses.count == expected.statuses.count + 1
      try require(Array(statuses.prefix(expected.statuses.count)) == expected.statuses, said)
      try require(
        isRefused
          ? statuses.last! >= 400 && run.closing != "no"
          : statuses.count == expected.statuses.count && run.closing == "no", said)
    }
  }

  package static var seeds: [[UInt8]] {
    let host = "HTTP/1.1\r\nHost: h\r\n"
    let texts = [
      "GET /key?key=a&level=stale \(host)\r\nGET /status \(host)\r\n",
      "PUT /key?key=a%2Fb+c \(host)Content-Length: 3\r\n\r\nabcDELETE /key/?key=%00 \(host)\r\n",
      "POST /key \(host)Content-Length: 24\r\n\r\n{\"key\":\"k\",\"value\":\"\\n\"}",
      "PUT /key?key=a \(host)Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
      "PUT /key?key=a \(host)Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
      "PUT /key?key=a \(host)Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "\r\nHEAD http://H:80/key?key=a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive, x\r\n\r\n",
      "OPTIONS * \(host)Connection: close\r\n\r\n", "CONNECT h:80 \(host)\r\n",
      "GET /join?id=n&addr=h:1&haddr=%5B::1%5D:2 \(host)\r\nPATCH / \(host)\r\n",
      "POST /remove?id=n&force=true \(host)Expect: x\r\n\r\n",
      "GET /metrics \(host)\r\nGET /livez \(host)\r\nHEAD /readyz?level=stale \(host)\r\n",
      "GET / HTTP/2.0\r\n\r\n",
    ]
    return texts.map { Array($0.utf8) }
  }
}
