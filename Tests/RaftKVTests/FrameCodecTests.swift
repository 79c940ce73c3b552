import RaftKV
import Testing

@Suite("Frame codec")
struct FrameCodecTests {
  @Test("every message comes back as it was, wherever the stream is split")
  func roundTrips() throws {
    var random = Random(seed: 1)
    for round in 0..<40 {
      for kind in 0..<MessageSample.kinds {
        let sample = MessageSample(kind: kind, using: &random)
        let bytes = sample.frame
        let splits = round == 0 ? Array(0...bytes.count) : [Int(random.next() % 16)]
        for split in splits {
          #expect(try sample.matches(FrameBox.read(bytes, splitAt: min(split, bytes.count))))
        }
      }
    }
  }

  @Test("no bit may flip, and no byte may be missing")
  func damage() {
    var random = Random(seed: 2)
    for kind in 0..<MessageSample.kinds {
      let bytes = MessageSample(kind: kind, using: &random).frame
      for length in 0..<bytes.count {
        #expect((try? FrameBox.read(Array(bytes[..<length]), splitAt: 0)) == nil)
      }
      for bit in 0..<(bytes.count * 8) {
        var damaged = bytes
        damaged[bit / 8] ^= 1 << (bit % 8)
        #expect((try? FrameBox.read(damaged, splitAt: 0)) == nil, "bit \(bit) of kind \(kind)")
      }
    }
  }

  @Test("a body cut short under a right checksum is malformed, one of an unknown type ignored")
  func malformed() throws {
    var random = Random(seed: 3)
    for kind in 0..<MessageSample.kinds {
      let sample = MessageSample(kind: kind, using: &random)
      try sample.frame.withUnsafeBytes { bytes in
        var input = bytes
        var reader = FrameReader()
        let frame = try #require(try reader.next(from: &input))
        for length in 0..<frame.body.count {
          var short = frame
          short.body = UnsafeRawBufferPointer(rebasing: frame.body[..<length])
          #expect(throws: FrameError.self) { try FrameCodec.message(in: short) }
        }
        var unknown = frame
        unknown.type = 200
        #expect(try FrameCodec.message(in: unknown) == nil)
      }
    }
  }

  @Test("entries with a gap, falling terms or a term beyond the leader's are malformed")
  func entries() {
    func isAccepted(_ ids: [(UInt64, UInt64)]) -> Bool {
      var records = ByteBuffer()
      var headers: [EntryHeader] = []
      for (index, term) in ids {
        let id = EntryID(index: LogIndex(index), term: Term(term))
        records.append(
          recordKind: EntryKind.noop.rawValue, id: id, payload: .init(start: nil, count: 0))
        headers.append(EntryHeader(term: id.term, kind: .noop, size: 0))
      }
      let request = AppendRequest(
        previous: EntryID(index: LogIndex(4), term: Term(2)), leaderCommit: .zero, round: 0,
        entries: headers)
      let envelope = Envelope(
        from: NodeID(1), to: NodeID(2), term: Term(3), message: .append(request))
      var frame = ByteBuffer()
      frame.appendFrame(envelope, payload: records.readable)
      return (try? FrameBox.read(Array(frame.readable), splitAt: 0)) != nil
    }
    #expect(isAccepted([]))
    #expect(isAccepted([(5, 2), (6, 3)]))
    #expect(!isAccepted([(6, 2)]))
    #expect(!isAccepted([(5, 2), (7, 2)]))
    #expect(!isAccepted([(5, 1)]))
    #expect(!isAccepted([(5, 3), (6, 2)]))
    #expect(!isAccepted([(5, 4)]))
  }

  @Test("what is no frame is told from its first byte")
  func http() {
    for length in 1...4 {
      #expect(throws: FrameError.notOurProtocol) {
        try FrameBox.read(Array("GET / HTTP/1.1\r\n".utf8.prefix(length)), splitAt: 0)
      }
    }
  }
}

/// A decoded message, with its payload copied.
struct FrameBox {
  var envelope: Envelope
  var report: StateHashReport?
  var payload: [UInt8]

  struct Incomplete: Error {}

  static func read(_ bytes: [UInt8], splitAt split: Int) throws -> FrameBox {
    var reader = FrameReader()
    for part in [Array(bytes[..<split]), Array(bytes[split...])] {
      let box: FrameBox? = try part.withUnsafeBytes { part in
        var input = part
        guard let frame = try reader.next(from: &input),
          let message = try FrameCodec.message(in: frame)
        else { return nil }
        return FrameBox(
          envelope: message.envelope, report: message.report, payload: Array(message.payload))
      }
      if let box { return box }
    }
    throw Incomplete()
  }
}

/// A message with random contents.
struct MessageSample {
  var envelope: Envelope
  var report: StateHashReport?
  var payload: [UInt8] = []

  /// How many kinds of message there are.
  static let kinds = 12

  init(kind: Int, using random: inout Random) {
    func counter() -> UInt64 { random.next() >> 4 }
    func id() -> EntryID { EntryID(index: LogIndex(counter()), term: Term(counter())) }
    func flag() -> Bool { random.next() & 1 == 0 }
    let phase = flag() ? VoteRequest.Phase.vote : .preVote
    let message: Message
    switch kind {
    case 0:
      message = .voteRequest(VoteRequest(phase: phase, lastEntry: id(), isTransfer: flag()))
    case 1: message = .voteReply(VoteReply(phase: phase, granted: flag()))
    case 2: message = Self.append(counter: counter, payload: &payload)
    case 3:
      let outcomes: [AppendReply.Outcome] = [
        .matched(LogIndex(counter())), .full(previous: LogIndex(counter())),
        .conflict(previous: LogIndex(counter()), hint: id()),
      ]
      message = .appendReply(
        AppendReply(outcome: outcomes[Int(counter() % 3)], round: counter()))
    case 4: message = .heartbeat(Heartbeat(commit: LogIndex(counter()), round: counter()))
    case 5: message = .heartbeatReply(HeartbeatReply(round: counter(), isFull: flag()))
    case 6: message = .timeoutNow
    case 7:
      payload = (0..<Int(counter() % 50)).map { _ in UInt8(truncatingIfNeeded: counter()) }
      let offset = counter()
      message = .snapshotChunk(
        SnapshotChunk(
          lastEntry: id(), offset: offset, size: UInt32(payload.count),
          total: offset + UInt64(payload.count) + counter() % 2, round: counter()))
    case 8:
      message = .snapshotReply(
        SnapshotReply(lastEntry: id(), offset: counter(), round: counter()))
    case 9: message = .removed(by: LogIndex(counter()))
    case 10: message = .diverged(at: LogIndex(counter()))
    default:
      message = .moved(
        MoveReport(
          member: NodeID(counter() | 1), memberSince: LogIndex(counter()), raftAddress: "host:1",
          httpAddress: flag() ? "" : "host:2"))
    }
    envelope = Envelope(
      from: NodeID(counter() | 1), to: NodeID(counter() | 1), term: Term(1 << 61),
      message: message)
    if flag() {
      report = StateHashReport(
        version: 7, index: LogIndex(counter()),
        hash: StateHash(high: random.next(), low: random.next()))
    }
  }

  private static func append(counter: () -> UInt64, payload: inout [UInt8]) -> Message {
    var records = ByteBuffer()
    var headers: [EntryHeader] = []
    let previous = EntryID(index: LogIndex(counter()), term: Term(counter()))
    for step in 0..<Int(counter() % 5) {
      var bytes = ByteBuffer()
      var header = EntryHeader(term: previous.term, kind: .command, size: 0)
      if step == 1 {
        let member = Configuration.Member(
          id: NodeID(counter()), name: "n\(step)", memberSince: LogIndex(counter()),
          raftAddress: "host:1", httpAddress: "host:2", role: .voter)
        header.kind = .configuration
        header.configuration = Configuration(members: [member])
        header.configuration?.encode(into: &bytes)
      } else {
        bytes.append(repeating: UInt8(step), count: Int(counter() % 30))
      }
      header.size = UInt32(bytes.count)
      let id = EntryID(index: previous.index + (step + 1), term: header.term)
      records.append(recordKind: header.kind.rawValue, id: id, payload: bytes.readable)
      headers.append(header)
    }
    payload = Array(records.readable)
    return .append(
      AppendRequest(
        previous: previous, leaderCommit: LogIndex(counter()), round: counter(),
        entries: headers))
  }

  var frame: [UInt8] {
    var buffer = ByteBuffer()
    payload.withUnsafeBytes { buffer.appendFrame(envelope, report: report, payload: $0) }
    return Array(buffer.readable)
  }

  func matches(_ box: FrameBox) -> Bool {
    box.envelope == envelope && box.report == report && box.payload == payload
  }
}
