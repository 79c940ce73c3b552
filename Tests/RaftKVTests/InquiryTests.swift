import Testing

@testable import RaftKV

@Suite("Inquiry", .serialized)
struct InquiryTests {
  private func hello(to name: String) -> Hello {
    Hello(from: .sample(1), to: Hello.Party(name: name), purpose: .probe)
  }

  private func words(_ outcome: Inquiry.Outcome) -> String {
    switch outcome {
    case .welcome(let hello): "welcome by \(hello.sender.name)"
    case .refused(let refusal): "\(refusal.code)"
    case .connectionRefused: "connection refused"
    case .failed(let failure): "\(failure)"
    }
  }

  /// All that is said when `name` is asked for at an address that `serve` makes.
  private func ask(
    for name: String = "n2", _ serve: (EventLoop) throws -> String
  ) throws -> [String] {
    var said: [String] = []
    var inquiry: Inquiry?
    try withEventLoop { loop in
      let address = try serve(loop)
      inquiry = Inquiry(loop, hello: hello(to: name)) {
        said.append(words($0))
        loop.stop()
      }
      inquiry?.start(address)
      #expect(said.isEmpty && inquiry?.isOver == false, "never before it was asked")
    }
    #expect(inquiry?.isOver == true)
    inquiry?.expire()
    return said
  }

  /// The address of somebody who does this with what is asked.
  private func somebody(_ loop: EventLoop, _ answer: @escaping (Peer) -> Void) throws -> String {
    let listener = try Listener(loop, at: loopback)
    listener.didAccept = { Peer($0).didRead = answer }
    return "127.0.0.1:\(listener.boundPort)"
  }

  @Test("a peer says who it is, or that it is not whom we look for")
  func peers() throws {
    for (name, expected) in [("n2", "welcome by n2"), ("n9", "anotherTarget")] {
      var node: TestNode?
      let said = try ask(for: name) { loop in
        let peer = try TestNode(2, loop)
        node = peer
        return "127.0.0.1:\(peer.transport.boundPort)"
      }
      #expect(said == [expected])
      withExtendedLifetime(node) {}
    }
  }

  @Test("another protocol, a hang-up and an empty port are told apart")
  func strangers() throws {
    let web = try ask { loop in
      try somebody(loop) { $0.write("HTTP/1.1 400 Bad Request\r\n\r\n") }
    }
    #expect(web.count == 1 && web[0].hasPrefix("no raftkvd peer answers there"), "\(web)")
    let rude = try ask { loop in try somebody(loop) { $0.stream.close() } }
    #expect(rude == ["no raftkvd peer answers there: it hung up"])
    // tcpmux, a privileged port that nothing on a test machine serves.
    #expect(try ask { _ in "127.0.0.1:1" } == ["connection refused"])
  }

  @Test("silence is given three seconds; then the line is cut")
  func silence() throws {
    var said: [String] = []
    try withEventLoop { loop in
      let before = loop.now
      let inquiry = Inquiry(loop, hello: hello(to: "n2")) { said.append(words($0)) }
      #expect(inquiry.deadline >= before + .seconds(3))
      #expect(inquiry.deadline <= loop.now + .seconds(3))
      let address = try somebody(loop) {
        $0.didClose = { _ in loop.stop() }
        inquiry.expire()
      }
      inquiry.start(address)
    }
    #expect(said == ["no answer in time"])
  }

  @Test("what is no address is told at once, but not before it was asked")
  func noAddress() throws {
    let loop = try EventLoop()
    var said: [String] = []
    let inquiry = Inquiry(loop, hello: hello(to: "n2")) { said.append(words($0)) }
    inquiry.start("nowhere")
    #expect(said.isEmpty && inquiry.deadline <= loop.now)
    inquiry.expire()
    #expect(said == ["the address cannot be resolved: 'nowhere' is not host:port"])
    loop.close()
  }

  @Test("one that is cancelled hangs up and says nothing")
  func cancel() throws {
    try withEventLoop { loop in
      let inquiry = Inquiry(loop, hello: hello(to: "n2")) { _ in Issue.record("said something") }
      let address = try somebody(loop) {
        $0.didClose = { _ in loop.stop() }
        inquiry.cancel()
        inquiry.expire()
      }
      inquiry.start(address)
    }
  }
}
