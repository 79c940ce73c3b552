import RaftKV
import Testing

@Suite("Resolver")
struct ResolverTests {
  @Test("addresses of digits are answered before the call returns")
  func literals() throws {
    let loop = try EventLoop()
    for (text, expected) in [
      ("127.0.0.1:8079", ["127.0.0.1:8079"]), ("[::1]:80", ["[::1]:80"]),
      (":8079", ["[::]:8079", "0.0.0.0:8079"]), ("0.0.0.0:1", ["0.0.0.0:1"]),
    ] {
      var answer: [String] = []
      let target = try #require(HostPort(text))
      let question = Resolver.resolve(loop, target) {
        if case .success(let addresses) = $0 { answer = addresses.map(\.description) }
      }
      #expect(question == nil)
      #expect(answer == expected)
    }
    loop.close()
  }

  @Test("localhost is this host, with the port asked for, each address once")
  func localhost() throws {
    var answer: [SocketAddress] = []
    try withEventLoop { loop in
      Resolver.resolve(loop, HostPort("localhost:8079")!) {
        if case .success(let addresses) = $0 { answer = addresses }
        loop.stop()
      }
    }
    #expect(!answer.isEmpty)
    #expect(Set(answer).count == answer.count)
    for address in answer {
      #expect(["127.0.0.1:8079", "[::1]:8079"].contains(address.description))
    }
  }

  @Test("a cancelled question is not answered, though the loop waits for the pool to let go of it")
  func cancel() throws {
    let loop = try EventLoop()
    for _ in 0..<20 {
      let question = Resolver.resolve(loop, HostPort("localhost:8079")!) { _ in
        Issue.record("answered")
      }
      question?.cancel()
      question?.cancel()
    }
    loop.close()
  }
}
