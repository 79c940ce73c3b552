import Glibc
import Testing

extension DaemonTests {
  /// Nodes die and stand still at the worst of moments; no acknowledged write is lost.
  @Suite("Crashes")
  struct CrashTests {
    @Test(
      "kill -9 of the leader under load, three times: every acknowledged write is on every node")
    func leader() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let writers = Writers(6, to: nodes.map(\.httpAddress))
        for _ in 0..<3 {
          try writers.awaitMore(50)
          let leader = try sandbox.leader(of: nodes)
          try leader.kill9()
          // The others go on without it.
          try writers.awaitMore(50)
          try leader.start()
          try leader.awaitStatus("is back") { $0.leader != nil && $0.role != "leader" }
        }
        try verify(sandbox, nodes, try writers.stop())
      }
    }

    @Test("kill -9 of all nodes under load, and again while they recover")
    func all() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let writers = Writers(6, to: nodes.map(\.httpAddress))
        for _ in 0..<2 {
          try writers.awaitMore(100)
          for node in nodes { node.send(SIGKILL) }
          for node in nodes { _ = try node.exitCode() }
          for node in nodes { try node.start() }
        }
        try writers.awaitMore(100)
        try verify(sandbox, nodes, try writers.stop())
      }
    }

    @Test("the same with the timing that everybody has who sets none")
    func defaults() throws {
      try Sandbox.run { sandbox in
        let nodes = try (1...3).map { try sandbox.node("node\($0)") }
        for node in nodes { node.commonFlags = [] }
        try sandbox.start(nodes)
        let writers = Writers(4, to: nodes.map(\.httpAddress))
        try writers.awaitMore(50)
        let leader = try sandbox.leader(of: nodes)
        try leader.kill9()
        try writers.awaitMore(50)
        try leader.start()
        try writers.awaitMore(50)
        try verify(sandbox, nodes, try writers.stop())
      }
    }

    @Test("a leader that stands still is replaced, and serves nothing old when it goes on")
    func pause() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        try nodes[0].put("x", "old")
        let leader = try sandbox.leader(of: nodes)
        let others = nodes.filter { $0 !== leader }
        leader.send(SIGSTOP)
        // A request that waits in the kernel until it goes on.
        let waiting = try Connection(to: leader.httpAddress)
        try waiting.send("GET /key?key=x&level=consistent HTTP/1.1\r\nHost: x\r\n\r\n")
        _ = try sandbox.leader(of: others)
        try #require(try others[0].put("x", "new").status == 200)
        leader.send(SIGCONT)
        let answer = try waiting.response()
        try #require(answer.status != 200 || answer.text == "new", "\(answer)")
        try leader.awaitStatus("follows") { $0.role == "follower" && $0.leader != nil }
        try #require(try leader.value("x", level: "consistent") == "new")
        try #require(try sandbox.converge(nodes))
      }
    }

    /// Everything is on every node, and a linearizable read sees it.
    private func verify(_ sandbox: Sandbox, _ nodes: [Node], _ promised: [String: String]) throws {
      let leader = try sandbox.leader(of: nodes)
      try #require(try leader.missing(promised, level: "consistent").isEmpty)
      try #require(try sandbox.converge(nodes), "equal state hashes")
      for node in nodes { try #require(try node.missing(promised, level: "stale").isEmpty) }
    }
  }
}
