import Glibc
import Testing

extension DaemonTests {
  /// Restarting one node after the other, under clients who must not notice.
  @Suite("Rolling operation")
  struct RollingTests {
    @Test("every node of a loaded cluster is restarted, and no request fails")
    func restart() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let clients = RollingClients(4, to: nodes.map(\.httpAddress))
        try clients.awaitMore(50)
        for node in nodes {
          node.send(SIGTERM)
          try #require(try node.exitCode() == 0)
          try clients.awaitMore(20)
          try node.start()
          try eventually("\(node.name) is ready") {
            (try? node.get("/readyz").status) == 200
          }
          try clients.awaitMore(20)
          try #require(clients.failures.isEmpty, "\(clients.failures)")
        }
        let promised = try clients.stop()
        try #require(clients.failures.isEmpty, "\(clients.failures)")
        try #require(clients.redirects > 0, "leadership has moved")
        try #require(try sandbox.converge(nodes))
        for node in nodes { try #require(try node.missing(promised, level: "stale").isEmpty) }
      }
    }

    @Test("a stopping node fails its readiness, says good-bye on open connections, and ends")
    func drain() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        let leader = try sandbox.leader(of: nodes)
        let idle = try Connection(to: leader.httpAddress)
        let busy = try Connection(to: leader.httpAddress)
        try busy.send("GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
        let before = try busy.response()
        try #require(before.status == 200 && before["Connection"] == nil)
        // In the middle of a request: it is waited for.
        try busy.send("GET /readyz HTTP/1.1\r\n")
        leader.send(SIGTERM)
        try eventually("it stops") { leader.log.contains("msg=stopping") }
        try busy.send("Host: h\r\n\r\n")
        let last = try busy.response()
        try #require(last.status == 503 && last.error == "draining", "\(last.text)")
        try #require(last["Connection"] == "close")
        // The idle one had its time, and is closed without a word.
        try #require(try idle.receiveAll().isEmpty)
        try #require(try leader.exitCode() == 0)
        // Alone of two, it does not lead for long.
        let other = nodes.first { $0 !== leader }!
        try eventually("the other has led") { other.log.contains("leads in term") }
      }
    }
  }
}
