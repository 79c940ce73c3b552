import Glibc
import Testing

extension DaemonTests {
  /// Flags, environment and file, `config check`, and SIGHUP.
  @Suite("Configuration")
  struct ConfigurationTests {
    @Test("config check prints what holds and why, and starts nothing")
    func check() throws {
      try Sandbox.run { sandbox in
        let file = "\(sandbox.directory)/node.conf"
        try Files.write(Array("id = filed\nlog-level = debug\n".utf8), to: file)
        let end = try sandbox.run(
          ["config", "check", "-config", file, "-heartbeat", "60ms"],
          environment: ["RAFTKVD_SNAPSHOT_ENTRIES": "500", "RAFTKVD_LOG_LEVEL": "warning"])
        try #require(end.code == 0, "\(end.words)")
        let lines = end.words.split(separator: "\n").map {
          $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        for line in [
          "id = filed # \(file):1", "log-level = warning # environment", "heartbeat = 60ms # flag",
          "snapshot-entries = 500 # environment", "data = data/filed # default",
          "raddr = localhost:8080 # default",
        ] {
          try #require(lines.contains(line), "\(line): \(end.words)")
        }
        try #require(Files.list(sandbox.directory) == ["node.conf", "run.log"])
      }
    }

    @Test("what is wrong is one line each, exit code 64, for the check as for a start")
    func wrong() throws {
      try Sandbox.run { sandbox in
        let file = "\(sandbox.directory)/node.conf"
        try Files.write(Array("id = a b\n\nspeed = 9\n".utf8), to: file)
        let check = try sandbox.run(["config", "check", "-config", file])
        try #require(check.code == 64)
        let lines = check.words.split(separator: "\n").sorted()
        try #require(lines.count == 2, "\(check.words)")
        try #require(lines[0].hasPrefix("raftkvd: \(file):1: id 'a b' is not a name"))
        try #require(lines[1].hasPrefix("raftkvd: \(file):3: there is no key 'speed'"))
        let start = try sandbox.run([], environment: ["RAFTKVD_CONFIG": file])
        try #require(start.code == 64 && start.words.isOneLine, "\(start.words)")
        try #require(start.words.contains("and 1 more, see raftkvd config check"))
        for (flags, words) in [
          (["-config", "/nonexistent/conf"], "cannot be read: No such file"),
          (["-config", "/dev/zero"], "larger than 1 MiB"),
          (["config"], "raftkvd config check"), (["config", "check", "stray"], "'stray'"),
        ] {
          let end = try sandbox.run(flags)
          try #require(end.code == 64 && end.words.isOneLine, "\(end.words)")
          try #require(end.words.contains(words), "\(end.words)")
        }
      }
    }

    @Test("a node can be started by its environment alone")
    func environment() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("node1")
        let process = try Program.spawn(
          ["-bootstrap"], log: node.logPath, in: "/",
          environment: [
            "RAFTKVD_RADDR": node.raftAddress, "RAFTKVD_HADDR": node.httpAddress,
            "RAFTKVD_DATA": node.directory, "RAFTKVD_LOG_FORMAT": "json", "RAFTKVD_SPEED": "9",
          ])
        node.adopt(process)
        try node.awaitStatus("leads") { $0.role == "leader" }
        try #require(try node.stop() == 0)
        let lines = node.log.split(separator: "\n")
        try #require(lines.allSatisfy { $0.hasPrefix("{\"time\":\"") && $0.hasSuffix("\"}") })
        try #require(node.log.contains("the environment's RAFTKVD_SPEED is no setting"))
      }
    }

    @Test("SIGHUP applies what can change, says what cannot, and refuses a file that is wrong")
    func reload() throws {
      try Sandbox.run { sandbox in
        let file = "\(sandbox.directory)/node.conf"
        func write(_ text: String) throws { try Files.write(Array(text.utf8), to: file) }
        try write("max-value-size = 10\n")
        let node = try sandbox.node("node1")
        try node.start("-bootstrap", "-config", file)
        try node.awaitStatus("leads") { $0.role == "leader" }
        let long = [UInt8](repeating: 7, count: 100)
        let connection = try Connection(to: node.httpAddress)
        func put() throws -> Int {
          try connection.send("PUT /key?key=a HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
          try connection.send(long)
          return try connection.response().status
        }
        try #require(try node.request("PUT", "/key?key=a", body: long).status == 413)
        func reload(until words: String) throws {
          node.send(SIGHUP)
          try eventually("the log says '\(words)'") { node.log.contains(words) }
        }

        // A word that stands in no value yet.
        try write("max-value-size = 100\nlog-level = debug\njoin = 127.0.0.1:1\n")
        try reload(until: "3 settings changed")
        try #require(node.log.contains("max-value-size is now '100'"))
        try #require(node.log.contains("log-level is now 'debug'"))
        try #require(node.log.contains("join '127.0.0.1:1' needs a restart"))
        try #require(try put() == 200, "open connections have the new limit too")

        try write("max-value-size = 10\nlog-level = loud\n")
        try reload(until: "the settings in force stay")
        try #require(node.log.contains("\(file):2: log-level 'loud' is not a level"))
        try #require(try put() == 200)

        // What could not be applied is told again; what was taken back is silent.
        try write("max-value-size = 100\nlog-level = debug\n")
        try reload(until: "nothing changed")
        unlink(file)
        try reload(until: "cannot be read")
        try #require(try put() == 200)
        try #require(try node.stop() == 0)
      }
    }

    @Test("without a file SIGHUP changes nothing and ends nothing")
    func nothingToReload() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("node1")
        try node.start("-bootstrap")
        try node.awaitStatus("leads") { $0.role == "leader" }
        node.send(SIGHUP)
        try eventually("it says so") { node.log.contains("there is no configuration file") }
        try #require(try node.status().role == "leader")
      }
    }
  }
}
