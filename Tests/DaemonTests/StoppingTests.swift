import Glibc
import Testing

extension DaemonTests {
  /// SIGTERM and Ctrl-C.
  @Suite("Stopping")
  struct StoppingTests {
    @Test("a leader that is told to stop hands over, answers what it took, and exits with 0")
    func handOver() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let writers = Writers(4, to: nodes.map(\.httpAddress))
        for signal in [SIGTERM, SIGINT] {
          try writers.awaitMore(20)
          let leader = try sandbox.leader(of: nodes)
          let others = nodes.filter { $0 !== leader }
          leader.send(signal)
          try #require(try leader.exitCode() == 0)
          try #require(leader.log.contains("hands the leadership to node"))
          try #require(leader.log.contains("stepped down"))
          try #require(leader.log.split(separator: "\n").last?.hasSuffix("msg=stopped") == true)
          _ = try sandbox.leader(of: others)
          try leader.start()
          try leader.awaitStatus("is back") { $0.leader != nil }
        }
        let promised = try writers.stop()
        try #require(try sandbox.converge(nodes))
        for node in nodes { try #require(try node.missing(promised, level: "stale").isEmpty) }
      }
    }

    /// Of two voters the successor always needs the other's vote; of more, where it has not found
    /// the rest yet. Who stops has three seconds for it; a machine that stood still for so long has
    /// two more attempts.
    @Test("a leader that is told to stop still votes for its successor")
    func vote() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        var isElected = false
        for _ in 1...3 where !isElected {
          let leader = try sandbox.leader(of: nodes)
          let other = nodes.first { $0 !== leader }!
          let before = other.log
          try #require(try leader.stop() == 0)
          let election = {
            try eventually("\(other.name) leads") {
              other.log.dropFirst(before.count).contains("leads in term")
            }
          }
          isElected = (try? election()) != nil
          try leader.start()
        }
        try #require(isElected)
      }
    }

    @Test("a second signal ends a stop that waits")
    func second() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        let leader = try sandbox.leader(of: nodes)
        // Nobody can take over now, so the first signal would take its time.
        for node in nodes where node !== leader { node.send(SIGSTOP) }
        leader.send(SIGTERM)
        leader.send(SIGINT)
        try #require(try leader.exitCode() == 0)
        try #require(leader.log.contains("msg=stopping"))
        try #require(leader.log.contains("msg=\"told again to stop: ends at once\""))
        try #require(!leader.log.contains("msg=stopped"))
      }
    }

    @Test("a lone leader, a waiting node and one that is still joining stop as well")
    func others() throws {
      try Sandbox.run { sandbox in
        let lone = try sandbox.cluster(of: 1)[0]
        let waiting = try sandbox.node("waiting")
        try waiting.start()
        let joining = try sandbox.node("joining")
        try joining.start("-join", "127.0.0.1:\(try Ports.free())")
        for node in [waiting, joining] {
          try node.awaitStatus("waits") { $0.role == "waiting" }
          let refused = try node.request("PUT", "/key?key=a", body: [1])
          try #require(refused.status == 503 && refused.error == "not_in_cluster")
        }
        for node in [lone, waiting, joining] { try #require(try node.stop() == 0) }
      }
    }
  }
}
