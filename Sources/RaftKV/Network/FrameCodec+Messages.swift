/// The messages in bytes, behind the envelope (see `FrameCodec.swift`).
///
/// ```
/// voteRequest     u8 phase · u8 1 if a transfer · u16 zero · u32 zero · entry id last
/// voteReply       u8 phase · u8 1 if granted
/// append          entry id previous · u64 leader commit · u64 round · u32 entries · u32 zero ·
///                 the entries as records, byte for byte as in the log (see `EntryRecord.swift`)
/// appendReply     u8 outcome · u8 zero · u16 zero · u32 zero · u64 round · u64 index ·
///                 entry id hint (zero unless outcome 2)
///                 outcome: 1 matched through index, 2 conflict at index, 3 full at index
/// heartbeat       u64 commit · u64 round
/// heartbeatReply  u64 round · u8 1 if full
/// timeoutNow      nothing
/// snapshotChunk   entry id last · u64 offset · u64 total · u64 round · u32 size · u32 zero · bytes
/// snapshotReply   entry id last · u64 offset · u64 round
/// removed         u64 index of the configuration that lacks the receiver
/// diverged        u64 index at which the receiver's state differs from a majority's
/// moved           u64 member · u64 memberSince · its raft address · its http address
///                 (each u16 length and UTF-8)
///
/// entry id: u64 index · u64 term
/// ```
extension ByteBuffer {
  /// Appends one message as a frame. `payload` is the records of an append or a chunk's bytes.
  package mutating func appendFrame(
    _ envelope: Envelope, report: StateHashReport? = nil,
    payload: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) {
    let flags = report == nil ? 0 : FrameCodec.reportFlag
    let start = beginFrame(envelope.message.frameType, flags: flags)
    append(envelope.from.rawValue)
    append(envelope.to.rawValue)
    append(envelope.term.rawValue)
    if let report { append(report) }
    append(envelope.message, payload: payload)
    endFrame(from: start)
  }

  private mutating func append(_ report: StateHashReport) {
    append(report.version)
    append(UInt32(0))
    append(report.index.rawValue)
    append(report.hash.high)
    append(report.hash.low)
  }

  private mutating func append(_ message: Message, payload: UnsafeRawBufferPointer) {
    switch message {
    case .append, .snapshotChunk: break
    default: precondition(payload.isEmpty, "only appends and chunks have a payload")
    }
    switch message {
    case .voteRequest(let request):
      append(request.phase.rawValue)
      append(flag: request.isTransfer)
      append(repeating: 0, count: 6)
      append(request.lastEntry)
    case .voteReply(let reply):
      append(reply.phase.rawValue)
      append(flag: reply.granted)
    case .append(let request):
      append(request, records: payload)
    case .appendReply(let reply):
      append(reply)
    case .heartbeat(let heartbeat):
      append(heartbeat.commit.rawValue)
      append(heartbeat.round)
    case .heartbeatReply(let reply):
      append(reply.round)
      append(flag: reply.isFull)
    case .timeoutNow:
      break
    case .snapshotChunk(let chunk):
      append(chunk, bytes: payload)
    case .snapshotReply(let reply):
      append(reply.lastEntry)
      append(reply.offset)
      append(reply.round)
    case .removed(let index), .diverged(let index):
      append(index.rawValue)
    case .moved(let report):
      append(report.member.rawValue)
      append(report.memberSince.rawValue)
      append(lengthPrefixed: report.raftAddress)
      append(lengthPrefixed: report.httpAddress)
    }
  }

  private mutating func append(_ request: AppendRequest, records: UnsafeRawBufferPointer) {
    precondition(
      records.count >= request.count * EntryRecord.headerSize, "an append's records travel with it")
    append(request.previous)
    append(request.leaderCommit.rawValue)
    append(request.round)
    append(UInt32(request.count))
    append(UInt32(0))
    append(records)
  }

  private mutating func append(_ reply: AppendReply) {
    let (outcome, index, hint): (UInt8, LogIndex, EntryID) =
      switch reply.outcome {
      case .matched(let index): (1, index, .zero)
      case .conflict(let previous, let hint): (2, previous, hint)
      case .full(let previous): (3, previous, .zero)
      }
    append(outcome)
    append(repeating: 0, count: 7)
    append(reply.round)
    append(index.rawValue)
    append(hint)
  }

  private mutating func append(_ chunk: SnapshotChunk, bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count == Int(chunk.size), "a chunk's bytes are as many as it says")
    append(chunk.lastEntry)
    append(chunk.offset)
    append(chunk.total)
    append(chunk.round)
    append(chunk.size)
    append(UInt32(0))
    append(bytes)
  }

  private mutating func append(_ id: EntryID) {
    append(id.index.rawValue)
    append(id.term.rawValue)
  }

  private mutating func append(flag: Bool) {
    append(flag ? UInt8(1) : UInt8(0))
  }
}

extension FrameCodec {
  /// The message in a checked frame; nil where its type is none that we know.
  package static func message(in frame: RawFrame) throws(FrameError) -> MessageFrame? {
    guard let type = FrameType(rawValue: frame.type), type.isMessage else { return nil }
    guard frame.flags & ~reportFlag == 0 else { throw .reservedBits }
    var reader = ByteReader(frame.body)
    guard let from = reader.read(UInt64.self), from != 0, let to = reader.read(UInt64.self),
      to != 0, let term = reader.readTerm()
    else { throw .malformed(type) }
    var report: StateHashReport?
    if frame.flags & reportFlag != 0 {
      report = reader.readReport()
      guard report != nil else { throw .malformed(type) }
    }
    guard let message = reader.readMessage(type, term: term) else { throw .malformed(type) }
    let payload = reader.readRest()
    guard payload.count == message.payloadSize else { throw .malformed(type) }
    let envelope = Envelope(from: NodeID(from), to: NodeID(to), term: term, message: message)
    return MessageFrame(envelope: envelope, report: report, payload: payload)
  }
}

extension FrameType {
  var isMessage: Bool { rawValue >= FrameType.voteRequest.rawValue }
}

extension Message {
  var frameType: FrameType {
    switch self {
    case .voteRequest: .voteRequest
    case .voteReply: .voteReply
    case .append: .append
    case .appendReply: .appendReply
    case .heartbeat: .heartbeat
    case .heartbeatReply: .heartbeatReply
    case .timeoutNow: .timeoutNow
    case .snapshotChunk: .snapshotChunk
    case .snapshotReply: .snapshotReply
    case .removed: .removed
    case .diverged: .diverged
    case .moved: .moved
    }
  }

  /// What travels beside the message, bytes.
  var payloadSize: Int {
    switch self {
    case .append(let request):
      request.entries.reduce(0) { $0 + EntryRecord.size(payload: Int($1.size)) }
    case .snapshotChunk(let chunk): Int(chunk.size)
    default: 0
    }
  }
}

extension ByteReader {
  /// The message's fields. Afterwards the reader stands at its payload.
  fileprivate mutating func readMessage(_ type: FrameType, term: Term) -> Message? {
    switch type {
    case .voteRequest: return readVoteRequest().map(Message.voteRequest)
    case .voteReply:
      guard let phase = readPhase(), let granted = readFlag() else { return nil }
      return .voteReply(VoteReply(phase: phase, granted: granted))
    case .append: return readAppend(term: term).map(Message.append)
    case .appendReply: return readAppendReply().map(Message.appendReply)
    case .heartbeat:
      guard let commit = readIndex(), let round = read(UInt64.self) else { return nil }
      return .heartbeat(Heartbeat(commit: commit, round: round))
    case .heartbeatReply:
      guard let round = read(UInt64.self), let isFull = readFlag() else { return nil }
      return .heartbeatReply(HeartbeatReply(round: round, isFull: isFull))
    case .timeoutNow: return .timeoutNow
    case .snapshotChunk: return readSnapshotChunk().map(Message.snapshotChunk)
    case .snapshotReply:
      guard let last = readEntryID(), let offset = readCounter(), let round = read(UInt64.self)
      else { return nil }
      return .snapshotReply(SnapshotReply(lastEntry: last, offset: offset, round: round))
    case .removed: return readIndex().map(Message.removed(by:))
    case .diverged: return readIndex().map(Message.diverged(at:))
    case .moved: return readMoveReport().map(Message.moved)
    case .hello, .welcome, .refusal, .keepAlive: return nil
    }
  }

  private mutating func readVoteRequest() -> VoteRequest? {
    guard let phase = readPhase(), let isTransfer = readFlag(), readZeros(6),
      let last = readEntryID()
    else { return nil }
    return VoteRequest(phase: phase, lastEntry: last, isTransfer: isTransfer)
  }

  private mutating func readAppend(term: Term) -> AppendRequest? {
    guard let previous = readEntryID(), let commit = readIndex(),
      let round = read(UInt64.self), let count = read(UInt32.self), readZeros(4),
      let entries = entryHeaders(count: Int(count), after: previous, through: term)
    else { return nil }
    return AppendRequest(
      previous: previous, leaderCommit: commit, round: round, entries: entries)
  }

  /// Looks ahead at `count` records. Their indexes go on from `previous` without a gap (B11); terms
  /// never fall from entry to entry and never exceed the leader's own.
  private func entryHeaders(
    count: Int, after previous: EntryID, through term: Term
  ) -> [EntryHeader]? {
    // A record has at least its header: a count that lies must not make us reserve memory.
    guard count <= remaining / EntryRecord.headerSize else { return nil }
    var records = self
    var headers: [EntryHeader] = []
    headers.reserveCapacity(count)
    var last = previous
    for _ in 0..<count {
      guard let record = records.readEntry(), record.id.index == last.index.next,
        record.id.term >= last.term, record.id.term <= term,
        record.payload.count <= EntryRecord.maximumPayload
      else { return nil }
      var header = EntryHeader(
        term: record.id.term, kind: record.kind, size: UInt32(record.payload.count))
      if record.kind == .configuration {
        header.configuration = Configuration(decoding: record.payload)
        guard header.configuration?.isSound == true else { return nil }
      }
      headers.append(header)
      last = record.id
    }
    return headers
  }

  private mutating func readAppendReply() -> AppendReply? {
    guard let code = read(UInt8.self), readZeros(7), let round = read(UInt64.self),
      let index = readIndex(), let hint = readEntryID()
    else { return nil }
    switch code {
    case 1 where hint == .zero: return AppendReply(outcome: .matched(index), round: round)
    case 2: return AppendReply(outcome: .conflict(previous: index, hint: hint), round: round)
    case 3 where hint == .zero: return AppendReply(outcome: .full(previous: index), round: round)
    default: return nil
    }
  }

  private mutating func readSnapshotChunk() -> SnapshotChunk? {
    guard let last = readEntryID(), let offset = readCounter(), let total = readCounter(),
      let round = read(UInt64.self), let size = read(UInt32.self), readZeros(4),
      offset + UInt64(size) <= total
    else { return nil }
    return SnapshotChunk(lastEntry: last, offset: offset, size: size, total: total, round: round)
  }

  private mutating func readMoveReport() -> MoveReport? {
    guard let member = read(UInt64.self), member != 0, let memberSince = readIndex(),
      let raftAddress = readString(limit: Configuration.maximumAddressLength),
      let httpAddress = readString(limit: Configuration.maximumAddressLength)
    else { return nil }
    return MoveReport(
      member: NodeID(member), memberSince: memberSince, raftAddress: raftAddress,
      httpAddress: httpAddress)
  }

  fileprivate mutating func readReport() -> StateHashReport? {
    guard let version = read(UInt32.self), readZeros(4), let index = readIndex(),
      let high = read(UInt64.self), let low = read(UInt64.self)
    else { return nil }
    return StateHashReport(version: version, index: index, hash: StateHash(high: high, low: low))
  }

  private mutating func readPhase() -> VoteRequest.Phase? {
    read(UInt8.self).flatMap(VoteRequest.Phase.init(rawValue:))
  }

  private mutating func readEntryID() -> EntryID? {
    guard let index = readIndex(), let term = readTerm() else { return nil }
    return EntryID(index: index, term: term)
  }

  fileprivate mutating func readTerm() -> Term? { readCounter().map(Term.init) }
  private mutating func readIndex() -> LogIndex? { readCounter().map(LogIndex.init) }

  /// An integer that may be added to without overflow.
  private mutating func readCounter() -> UInt64? {
    guard let value = read(UInt64.self), value <= FrameCodec.maximumCounter else { return nil }
    return value
  }

  /// One byte, 0 or 1: any other value is another format, not a truth.
  private mutating func readFlag() -> Bool? {
    switch read(UInt8.self) {
    case 0: false
    case 1: true
    default: nil
    }
  }

  private mutating func readZeros(_ count: Int) -> Bool {
    read(count: count).map { $0.allSatisfy { $0 == 0 } } ?? false
  }

  fileprivate mutating func readRest() -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[offset...])
  }
}
