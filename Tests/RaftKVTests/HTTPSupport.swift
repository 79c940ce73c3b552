@testable import RaftKV

/// Answers from a dictionary-free little map, and does what a test tells it to.
final class ScriptedHandler: RequestHandler {
  enum Mode { case reply, pending, hold }
  var mode = Mode.reply
  var writeRefusal: Reply?
  /// What was asked, in words, and under which token; held requests are not listed.
  var asked: [String] = []
  var tokens: [RequestToken] = []
  var answer: Reply = .written(LogIndex(7))

  func handle(_ request: ClientRequest, token: RequestToken) -> Disposition {
    if mode == .hold { return .hold }
    asked.append(Self.describe(request))
    tokens.append(token)
    return mode == .pending ? .pending : .reply(answer)
  }

  private static func describe(_ request: ClientRequest) -> String {
    func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
    switch request {
    case .get(let key, let level): return "get \(text(key)) \(level)"
    case .put(let key, let value): return "put \(text(key))=\(text(value))"
    case .delete(let key): return "delete \(text(key))"
    case .join(let name, let raft, let http): return "join \(name) \(raft) \(http ?? "-")"
    case .remove(let name, let force): return "remove \(name) \(force)"
    case .status: return "status"
    case .live: return "live"
    case .metrics: return "metrics"
    case .ready(let level): return "ready \(level)"
    }
  }
}

/// A connection that `#expect` can look into, which a value that is not copyable does not allow.
final class TestConnection {
  private var connection: HTTPConnection<ScriptedHandler>

  init(_ handler: ScriptedHandler, maximumValue: Int = 1 << 20) {
    connection = HTTPConnection(
      id: 1, generation: 1, limits: HTTPLimits(maximumValue: maximumValue), handler: handler,
      now: .zero)
  }

  var scratch: RequestScratch { connection.scratch }
  var wantsRead: Bool { connection.wantsRead }
  var isIdle: Bool { connection.isIdle }
  var closing: HTTPConnection<ScriptedHandler>.Closing { connection.closing }
  var deadline: Instant { connection.deadline }
  var bufferedBytes: Int { connection.bufferedBytes }
  var hasOutput: Bool { !connection.output.isEmpty }

  func receiveEnd(at now: Instant) { connection.receiveEnd(at: now) }
  func resumeHeld(at now: Instant) { connection.resumeHeld(at: now) }
  func didWrite(_ count: Int, at now: Instant) { connection.didWrite(count, at: now) }
  func deadlinePassed(at now: Instant) { connection.deadlinePassed(at: now) }
  func shed(at now: Instant) { connection.shed(at: now) }
  func reply(_ reply: Reply, to token: RequestToken, at now: Instant) {
    connection.reply(reply, to: token, at: now)
  }

  func receive(_ text: String, at now: Instant = .zero) { receive(Array(text.utf8), at: now) }

  func receive(_ bytes: [UInt8], at now: Instant = .zero) {
    bytes.withUnsafeBytes { connection.receive($0, at: now) }
  }

  /// Takes all output, as a client that reads at once.
  func takeOutput(at now: Instant = .zero) -> String {
    var text = ""
    while !connection.output.isEmpty {
      text += String(decoding: connection.output.readable, as: UTF8.self)
      connection.didWrite(connection.output.count, at: now)
    }
    return text
  }

  /// The status codes of all output.
  func takeStatuses() -> [Int] {
    takeOutput().components(after: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) }
  }
}

extension String {
  /// What follows each occurrence of `separator`.
  func components(after separator: String) -> [Substring] {
    let bytes = Array(utf8)
    let mark = Array(separator.utf8)
    var result: [Substring] = []
    var index = 0
    while index + mark.count <= bytes.count {
      if Array(bytes[index..<index + mark.count]) == mark {
        let start = utf8.index(startIndex, offsetBy: index + mark.count)
        result.append(self[start...])
        index += mark.count
      } else {
        index += 1
      }
    }
    return result
  }
}

func makeEntry(_ key: String, _ value: String, index: UInt64) -> Entry {
  Array(key.utf8).withUnsafeBytes { key in
    Array(value.utf8).withUnsafeBytes { value in
      Entry(key: key, value: value, createIndex: LogIndex(1), modifyIndex: LogIndex(index))
    }
  }
}
