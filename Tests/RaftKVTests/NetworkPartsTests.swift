import Testing

@testable import RaftKV

@Suite("HTTPAnswer")
struct HTTPAnswerTests {
  private func parse(_ text: String, isComplete: Bool = false) -> String {
    Array(text.utf8).withUnsafeBytes { bytes in
      switch HTTPAnswer.parse(bytes, isComplete: isComplete) {
      case .needsMore: "more"
      case .malformed: "malformed"
      case .answer(let answer):
        "\(answer.status) \(answer.location ?? "-") \(String(decoding: answer.body, as: UTF8.self))"
      }
    }
  }

  @Test("a body of known length, or to the end of the connection")
  func bodies() {
    let counted = "HTTP/1.1 307 Go\r\nlocation:\t http://h/x \r\nContent-Length: 2\r\n\r\nab"
    #expect(parse(counted) == "307 http://h/x ab")
    for count in 0..<counted.utf8.count {
      #expect(parse(String(decoding: counted.utf8.prefix(count), as: UTF8.self)) == "more")
    }
    #expect(parse("HTTP/1.0 200 OK\r\n\r\nab") == "more")
    #expect(parse("HTTP/1.0 200 OK\r\n\r\nab", isComplete: true) == "200 - ab")
    #expect(parse("HTTP/1.1 204 No Content\r\n\r\n") == "204 - ")
    #expect(parse("HTTP/1.1 100 Continue\r\n\r\n" + counted) == "307 http://h/x ab")
  }

  @Test("what is no answer of ours")
  func malformed() {
    for text in [
      "SSH-2.0", "HTTP/2", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n",
    ] {
      #expect(parse(text) == "malformed", "\(text)")
    }
  }
}

@Suite("Hello")
struct HelloTests {
  private func encode(_ hello: Hello) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.appendFrame(.hello, hello)
    return Array(buffer.readable.dropFirst(FrameCodec.headerSize))
  }

  private func decode(_ bytes: [UInt8]) -> Hello? {
    bytes.withUnsafeBytes { Hello(decoding: $0) }
  }

  private var sample: Hello {
    let target = Hello.Party(name: "n2", id: NodeID(2), memberSince: LogIndex(9))
    var hello = Hello(from: .sample(1), to: target, purpose: .snapshots)
    hello.authentication = [1, 2, 3]
    return hello
  }

  @Test("it comes back as it was, and what a later version adds behind it is ignored")
  func roundTrip() {
    let bytes = encode(sample)
    #expect(decode(bytes) == sample)
    #expect(decode(bytes + [7, 7]) == sample)
    #expect(bytes.count + FrameCodec.headerSize < Hello.maximumSize)
  }

  @Test("one cut short is none, nor one without sender or nonce, or of an unknown purpose")
  func refused() {
    let bytes = encode(sample)
    for count in bytes.indices { #expect(decode(Array(bytes[..<count])) == nil) }
    for (offset, count) in [(2, 1), (24, 8), (56, 8)] {
      var changed = bytes
      for position in offset..<offset + count { changed[position] = 0 }
      #expect(decode(changed) == nil, "zero at \(offset)")
    }
    var long = bytes
    long[64] = 65  // A name of 65 bytes.
    #expect(decode(long) == nil)
  }
}

@Suite("Refusal")
struct RefusalTests {
  @Test("every code and its sentence arrive; a code to come reads as other")
  func codes() throws {
    for code in Refusal.Code.allCases {
      let refusal = Refusal(code, "no: é", by: .sample(1))
      var buffer = ByteBuffer()
      buffer.appendFrame(refusal)
      var body = Array(buffer.readable.dropFirst(FrameCodec.headerSize))
      #expect(body.withUnsafeBytes { Refusal(decoding: $0) } == refusal)
      #expect(body.dropLast().withUnsafeBytes { Refusal(decoding: $0) } == nil)
      body[0] = 200
      #expect(body.withUnsafeBytes { Refusal(decoding: $0) }?.code == .other)
    }
  }

  @Test("an essay is cut to a sentence that can be read, even inside a character")
  func essay() throws {
    for text in [String(repeating: "x", count: 999), "x" + String(repeating: "é", count: 500)] {
      let refusal = Refusal(.busy, text, by: .sample(1))
      var buffer = ByteBuffer()
      buffer.appendFrame(refusal)
      let body = Array(buffer.readable.dropFirst(FrameCodec.headerSize))
      #expect(body.withUnsafeBytes { Refusal(decoding: $0) } == refusal)
    }
  }
}

@Suite("FrameReader")
struct FrameReaderTests {
  private func header(type: UInt8, length: UInt32) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.append(FrameCodec.magic)
    buffer.append(UInt32(type))
    buffer.append(length)
    buffer.append(UInt32(0))
    return Array(buffer.readable)
  }

  private func error(_ bytes: [UInt8], limit: Int) -> FrameError? {
    var reader = FrameReader(bodyLimit: limit)
    return bytes.withUnsafeBytes { bytes in
      var input = bytes
      do throws(FrameError) {
        _ = try reader.next(from: &input)
        return nil
      } catch { return error }
    }
  }

  @Test("a frame too large is refused by its header, before a byte of it is waited for")
  func tooLarge() {
    #expect(error(header(type: 1, length: 8193), limit: 8192) == .tooLarge(8193))
    #expect(error(header(type: 1, length: 8192), limit: 8192) == nil)
    let beyond = UInt32(FrameCodec.maximumBodySize + 1)
    #expect(
      error(header(type: 18, length: beyond), limit: FrameCodec.maximumBodySize)
        == .tooLarge(Int(beyond)))
    #expect(error(header(type: 18, length: .max), limit: 8192) == .tooLarge(Int(UInt32.max)))
  }

  @Test("random bytes are refused within a header, at the first that differs")
  func garbage() {
    var random = Random(seed: 4)
    for _ in 0..<2000 {
      let bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(error(bytes, limit: 8192) == .notOurProtocol)
    }
    for count in 1...4 {
      var bytes = Array("RKVP".utf8.prefix(count))
      #expect(error(bytes, limit: 8192) == nil)
      bytes[count - 1] ^= 0x20
      #expect(error(bytes, limit: 8192) == .notOurProtocol)
    }
  }

  @Test("frames are lent where they lie, or gathered, and a stranger is held to a hello's size")
  func gathering() throws {
    var buffer = ByteBuffer()
    buffer.appendKeepAlive()
    buffer.appendKeepAlive()
    let bytes = Array(buffer.readable)
    var reader = FrameReader(bodyLimit: Hello.maximumSize)
    var count = 0
    for byte in bytes {
      try [byte].withUnsafeBytes { bytes in
        var input = bytes
        while let frame = try reader.next(from: &input) {
          #expect(frame.type == FrameType.keepAlive.rawValue && frame.body.isEmpty)
          count += 1
        }
      }
    }
    #expect(count == 2)
    let held = reader.partialBytes
    #expect(held == 0)
  }
}

@Suite("Outbox")
struct OutboxTests {
  private func send(_ outbox: inout Outbox, _ message: Message, _ payload: [UInt8] = []) {
    let envelope = Envelope(from: NodeID(1), to: NodeID(2), term: Term(1), message: message)
    payload.withUnsafeBytes { outbox.append(envelope, report: nil, payload: $0) }
  }

  /// The types of the frames in the next run.
  private func types(_ outbox: inout Outbox) -> [FrameType?] {
    var types: [FrameType?] = []
    let run = Array(outbox.nextRun())
    run.withUnsafeBytes { bytes in
      var input = bytes
      var reader = FrameReader()
      while let frame = try? reader.next(from: &input) {
        types.append(FrameType(rawValue: frame.type))
      }
    }
    outbox.didTake()
    return types
  }

  private func chunk(_ size: Int) -> (Message, [UInt8]) {
    let chunk = SnapshotChunk(
      lastEntry: .zero, offset: 0, size: UInt32(size), total: UInt64(size), round: 0)
    return (.snapshotChunk(chunk), [UInt8](repeating: 1, count: size))
  }

  @Test("votes and heartbeats go ahead of entries, and each class keeps its order (H2)")
  func classes() {
    var outbox = Outbox()
    let append = Message.append(
      AppendRequest(previous: .zero, leaderCommit: .zero, round: 0))
    send(&outbox, append)
    send(&outbox, .heartbeat(Heartbeat(commit: .zero, round: 1)))
    send(&outbox, chunk(9).0, chunk(9).1)
    send(&outbox, .timeoutNow)
    #expect(types(&outbox) == [.heartbeat, .timeoutNow])
    #expect(types(&outbox) == [.append, .snapshotChunk])
    #expect(types(&outbox) == [])
    let isEmpty = outbox.isEmpty && outbox.count == 0
    #expect(isEmpty)
  }

  @Test("bulk goes in runs of whole frames, so that a heartbeat waits for one run at most")
  func runs() {
    var outbox = Outbox()
    for _ in 0..<5 { send(&outbox, chunk(100 << 10).0, chunk(100 << 10).1) }
    send(&outbox, chunk(1 << 20).0, chunk(1 << 20).1)
    #expect(types(&outbox).count == 2)
    send(&outbox, .timeoutNow)
    #expect(types(&outbox) == [.timeoutNow])
    #expect(types(&outbox).count == 2)
    #expect(types(&outbox).count == 1)
    // One larger than a run goes alone.
    #expect(types(&outbox).count == 1)
    let isEmpty = outbox.isEmpty
    #expect(isEmpty)
  }
}

@Suite("PeerLink")
struct PeerLinkTests {
  @Test("waits double from 50 ms to 0.9 s, never in step with another's (J3)")
  func backoff() {
    let link = PeerLink(id: NodeID(2), nextDial: .zero)
    var random = Random(seed: 1)
    var waits: Set<Int64> = []
    for expected in [50, 100, 200, 400, 800, 900, 900] {
      let wait = link.nextBackoff(using: &random)
      #expect(wait >= .milliseconds(expected))
      #expect(wait <= .milliseconds(expected + expected / 10))
      waits.insert(Int64(wait.nanoseconds) - Int64(expected) * 1_000_000)
    }
    #expect(waits.count > 5)
  }

  @Test("it dials when it is time, while a member is behind it; a stranger only leaves in time")
  func deadlines() {
    let later = Instant.zero + .seconds(1)
    let link = PeerLink(id: NodeID(2), nextDial: later)
    #expect(link.nextDeadline == .distantFuture)
    link.peer = RaftKV.Peer(.sample(2))
    #expect(link.nextDeadline == later)
    link.peer = nil
    link.messages = nil
    link.expiry = later
    #expect(link.isIdle && link.nextDeadline == .distantFuture)
  }
}
