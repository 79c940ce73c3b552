import RaftKV
import Testing

@Suite("Peer session")
struct PeerSessionTests {
  /// What a dialler sends: its hello, then a message.
  private func stream(from: UInt64) -> [UInt8] {
    let target = Hello.Party(name: "n2", id: NodeID(2))
    var dialler = PeerSession(dialling: Hello(from: .sample(1), to: target, purpose: .messages))
    var bytes = Array(dialler.outbox.nextRun())
    dialler.outbox.didTake()
    var message = ByteBuffer()
    message.appendFrame(
      Envelope(from: NodeID(from), to: NodeID(2), term: Term(1), message: .timeoutNow))
    bytes += Array(message.readable)
    return bytes
  }

  /// Names of the events, when the bytes come in two parts.
  private func events(_ bytes: [UInt8], split: Int, isAccepted: Bool = true) -> [String] {
    var session = PeerSession(acceptingAs: NodeID(2))
    var names: [String] = []
    for part in [Array(bytes[..<split]), Array(bytes[split...])] {
      part.withUnsafeBytes { part in
        var input = part
        while let event = session.nextEvent(from: &input) {
          switch event {
          case .hello(let hello):
            names.append("hello")
            let welcome = Hello(from: .sample(2), to: hello.sender, purpose: .messages)
            if isAccepted { session.accept(with: welcome) }
          case .message: names.append("message")
          case .failed: names.append("failed")
          case .welcome, .refused: names.append("unexpected")
          }
        }
      }
    }
    return names
  }

  @Test("a hello and a message are heard in order, at every split")
  func splits() {
    let bytes = stream(from: 1)
    for split in 0...bytes.count {
      #expect(events(bytes, split: split) == ["hello", "message"])
    }
  }

  @Test("nobody speaks for another node, nor before his hello was judged")
  func outOfTurn() {
    let forged = stream(from: 3)
    #expect(events(forged, split: forged.count) == ["hello", "failed"])
    let hasty = stream(from: 1)
    #expect(events(hasty, split: 20, isAccepted: false) == ["hello", "failed"])
  }
}
