import RaftKV

/// What a stranger sends to the peer port, or answers to a dial.
///
/// The first byte chooses: raw bytes, or a script of frames that get a right length and checksum,
/// so that what is behind the checksum is reached. Rules: the same events however the bytes are
/// cut; nothing is heard after a failure; a message that was read, written again, is the same
/// bytes; a stranger makes us hold no more than a hello.
package enum FrameFuzzer: Fuzzer {
  package static let name = "frame"

  package static func judge(_ input: [UInt8]) throws {
    guard let choice = input.first else { return }
    let isDialled = choice & 1 == 1
    let stream = choice & 2 == 0 ? Array(input.dropFirst()) : frames(Array(input.dropFirst()))
    let whole = try events(in: [stream[...]], isDialled: isDialled)
    for pieces in splittings(of: stream) {
      let others = try events(in: pieces, isDialled: isDialled)
      try require(others == whole, "in \(pieces.count) pieces \(others), in one \(whole)")
    }
  }

  /// Each frame of the script: type, flags, and the body behind its length.
  private static func frames(_ bytes: [UInt8]) -> [UInt8] {
    var script = Script(bytes)
    var stream: [UInt8] = []
    while !script.isAtEnd {
      stream += frame(type: script.byte(), flags: script.byte(), body: script.run())
    }
    return stream
  }

  static func frame(type: UInt8, flags: UInt8, body: [UInt8]) -> [UInt8] {
    var header: [UInt8] = [type, flags, 0, 0]
    withUnsafeBytes(of: UInt32(body.count).littleEndian) { header += $0 }
    let checksum = (header + body).withUnsafeBytes { CRC32C.checksum($0) }
    return Array("RKVP".utf8) + header + withUnsafeBytes(of: checksum.littleEndian, Array.init)
      + body
  }

  private static func events(
    in pieces: [ArraySlice<UInt8>], isDialled: Bool
  ) throws -> [String] {
    let target = Hello.Party(name: "n1", id: NodeID(1))
    let hello = Hello(from: .fuzzed, to: target, purpose: .messages)
    var session =
      isDialled ? PeerSession(dialling: hello) : PeerSession(acceptingAs: LocalIdentity.fuzzed.id)
    var names: [String] = []
    for piece in pieces {
      try withExactCopy(piece) { bytes in
        var input = bytes
        while let event = session.nextEvent(from: &input) {
          try require(names.last?.hasPrefix("failed") != true, "something came after a failure")
          try names.append(note(event, &session))
        }
        if session.phase == .established {
          try require(session.partialBytes <= FrameCodec.maximumBodySize + 16, "it holds too much")
        }
      }
    }
    return names
  }

  private static func note(
    _ event: PeerSession.Event, _ session: inout PeerSession
  ) throws -> String {
    switch event {
    case .hello(let hello):
      session.accept(with: Hello(from: .fuzzed, to: hello.sender, purpose: hello.purpose))
      return "hello \(hello)"
    case .welcome(let hello):
      session.establish()
      return "welcome \(hello)"
    case .refused(let refusal): return "refused \(refusal)"
    case .failed(let error): return "failed \(error)"
    case .message(let frame):
      var again = ByteBuffer()
      again.appendFrame(frame.envelope, report: frame.report, payload: frame.payload)
      let own = Array(again.readable)
      try own.withUnsafeBytes { bytes in
        var input = bytes
        var reader = FrameReader()
        guard let raw = try reader.next(from: &input), let second = try FrameCodec.message(in: raw)
        else { throw BrokenRule("written again, it is no message: \(frame.envelope)") }
        try require(second.envelope == frame.envelope, "written again, it is another message")
        try require(second.payload.elementsEqual(frame.payload), "its payload is another")
      }
      return "message \(frame.envelope)"
    }
  }

  package static var seeds: [[UInt8]] {
    let hello = Hello(
      from: .other, to: Hello.Party(name: "n2", id: LocalIdentity.fuzzed.id), purpose: .messages)
    var greeting = PeerSession(dialling: hello)
    let stream = Array(greeting.outbox.nextRun())
    let body = Array(stream.dropFirst(16))
    func script(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
      [type, 0, UInt8(body.count & 255), UInt8(body.count >> 8)] + body
    }
    let envelopes = PeerFuzzer.samples.map { envelope, payload in
      var buffer = ByteBuffer()
      payload.withUnsafeBytes { buffer.appendFrame(envelope, payload: $0) }
      return Array(buffer.readable)
    }
    var seeds: [[UInt8]] = [[0] + Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n".utf8)]
    seeds.append([0] + stream)
    seeds.append([1] + stream)
    seeds.append([2] + script(1, body))
    seeds.append([3] + script(2, body))
    seeds.append([3] + script(3, [9, 0] + Array(body.prefix(40))))
    for bytes in envelopes {
      seeds.append([0] + stream + bytes)
      seeds.append([2] + script(1, body) + script(bytes[4], Array(bytes.dropFirst(16))))
    }
    return seeds
  }
}

extension LocalIdentity {
  /// The node under test, and one that talks to it.
  static let fuzzed = LocalIdentity(
    cluster: ClusterID(5), name: "n2", id: NodeID(2), memberSince: LogIndex(1), nonce: 7,
    raftAddress: "h2:1", httpAddress: "h2:2")
  static let other = LocalIdentity(
    cluster: ClusterID(5), name: "n1", id: NodeID(1), memberSince: LogIndex(1), nonce: 8,
    raftAddress: "h1:1", httpAddress: "h1:2")
}
