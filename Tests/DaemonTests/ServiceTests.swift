import Glibc
import Testing

extension DaemonTests {
  /// What a service manager hears (sd_notify(3)).
  @Suite("Under a service manager")
  struct ServiceTests {
    @Test("ready, status, watchdog, reload and stop are told", arguments: [true, false])
    func life(_ isAbstract: Bool) throws {
      try Sandbox.run { sandbox in
        let path = "\(sandbox.directory)/notify"
        let socket = try NotifySocket(isAbstract ? "@\(path)" : path)
        let file = "\(sandbox.directory)/node.conf"
        try Files.write(Array("log-level = info\n".utf8), to: file)
        let node = try sandbox.node("node1")
        node.environment = ["NOTIFY_SOCKET": socket.name, "WATCHDOG_USEC": "400000"]
        try node.start("-bootstrap", "-config", file)
        try socket.await("READY=1")
        // It is told when both ports are open.
        _ = try Connection(to: node.httpAddress)
        _ = try Connection(to: node.raftAddress)
        try eventually("it says that it leads") {
          socket.receive()
          return socket.messages.contains {
            $0.hasPrefix("STATUS=Leads in term ") && $0.hasSuffix(", 1 member.")
          }
        }
        for _ in 1...3 { try socket.await("WATCHDOG=1", skipping: socket.messages.count) }

        let before = socket.messages.count
        node.send(SIGHUP)
        let reloading = try socket.await("RELOADING=1", skipping: before)
        try #require(UInt64(reloading["MONOTONIC_USEC"] ?? "") ?? 0 > 0, "\(reloading)")
        try socket.await("READY=1", skipping: before)
        node.send(SIGTERM)
        try socket.await("STOPPING=1")
        try #require(try node.exitCode() == 0)
      }
    }

    @Test("a start that replays asks for time, and is ready before any leader is known")
    func replay() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        try nodes[0].put("a", "1")
        for node in nodes { try #require(try node.stop() == 0) }
        let socket = try NotifySocket("\(sandbox.directory)/notify")
        nodes[1].environment = ["NOTIFY_SOCKET": socket.name]
        try nodes[1].start()
        try socket.await("READY=1")
        let ready = try #require(socket.position(of: "READY=1"))
        let extended = try #require(socket.position(of: "EXTEND_TIMEOUT_USEC=30000000"))
        try #require(extended < ready)
        try eventually("it says that it knows no leader") {
          socket.receive()
          return socket.messages.contains { $0.hasPrefix("STATUS=Knows no leader in term ") }
        }
        try #require(!socket.messages.contains("WATCHDOG=1"), "nobody has asked for it")
        try nodes[0].start()
        try eventually("it says what it has become") {
          socket.receive()
          return socket.messages.last?.hasPrefix("STATUS=Leads in term ") == true
            || socket.messages.last?.hasPrefix("STATUS=Is follower of node1 in term ") == true
        }
      }
    }

    @Test("a start that fails says why; a manager that is not there changes nothing")
    func failure() throws {
      try Sandbox.run { sandbox in
        let socket = try NotifySocket("\(sandbox.directory)/notify")
        let end = try sandbox.run(
          ["-raddr", "192.0.2.1:1", "-bootstrap", "-haddr", "127.0.0.1:\(try Ports.free())"],
          environment: ["NOTIFY_SOCKET": socket.name])
        try #require(end.code == 69)
        socket.receive()
        try #require(
          socket.messages.last?.hasPrefix("STOPPING=1\nSTATUS=-raddr 192.0.2.1:1 ") == true,
          "\(socket.messages)")
        try #require(socket.position(of: "READY=1") == nil)

        for name in ["\(sandbox.directory)/nobody", "relative", "@", "vsock:2:1"] {
          let node = try sandbox.node("node1")
          node.environment = ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"]
          try node.start("-bootstrap")
          try node.awaitStatus("leads") { $0.role == "leader" }
          try #require(try node.stop() == 0)
          Files.removeTree(node.directory)
        }
      }
    }
  }

  /// `/livez` and `/readyz`.
  @Suite("Health")
  struct HealthTests {
    struct Health: Decodable {
      var status: String
      var reason: String
    }

    private func health(_ node: Node, _ target: String) throws -> Health {
      let response = try node.get(target)
      try #require(response.status == 200, "\(node.name) \(target): \(response.text)")
      return try response.decode()
    }

    @Test("a node is ready once it knows a leader and has caught up, and live all the time")
    func life() throws {
      try Sandbox.run { sandbox in
        let waiting = try sandbox.node("waiting")
        try waiting.start()
        try waiting.awaitStatus("waits") { $0.role == "waiting" }
        try #require(try health(waiting, "/livez").status == "alive")
        for target in ["/readyz", "/readyz?level=stale"] {
          let answer = try waiting.get(target)
          try #require(answer.status == 503 && answer.error == "not_in_cluster")
          try #require(answer["Retry-After"] == "1")
        }

        let nodes = try sandbox.cluster(of: 2)
        try nodes[0].put("a", "1")
        for node in nodes {
          try eventually("\(node.name) is ready") { try node.get("/readyz").status == 200 }
          let reason = try health(node, "/readyz").reason
          try #require(reason.contains(" in term ") && reason.contains("applied to "), "\(reason)")
          try #require(try node.request("HEAD", "/readyz").status == 200)
        }

        // Without the other half nobody leads; what this one has may still be read as stale.
        try nodes[0].kill9()
        try eventually("no leader: not ready") {
          let answer = try nodes[1].get("/readyz")
          return answer.status == 503 && answer.error == "no_leader"
        }
        try #require(try health(nodes[1], "/readyz?level=stale").status == "ready")
        try #require(try health(nodes[1], "/livez").status == "alive")
        // After a start it may lack everything that a leader would have it apply.
        try nodes[1].kill9()
        try nodes[1].start()
        try nodes[1].awaitStatus("is back") { $0.role != "leader" }
        let behind = try nodes[1].get("/readyz?level=stale")
        try #require(behind.status == 503 && behind.error == "behind", "\(behind.text)")
        try nodes[0].start()
        for node in nodes {
          try eventually("\(node.name) is ready again") {
            (try? node.get("/readyz").status) == 200
          }
          try #require(try node.value("a") == "1")
        }
      }
    }

    @Test("wrong questions are told so")
    func wrong() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        try #require(try node.get("/readyz?level=fresh").error == "bad_level")
        try #require(try node.get("/readyz?level=stale&level=stale").error == "repeated_parameter")
        for path in ["/livez", "/readyz"] {
          let post = try node.request("POST", path)
          try #require(post.status == 405 && post["Allow"] == "GET, HEAD, OPTIONS")
        }
      }
    }
  }
}
