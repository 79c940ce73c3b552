import Testing

extension DaemonTests {
  /// What a wrong command line gets: one line that says what to do, and exit code 64.
  @Suite("The command line")
  struct CommandLineTests {
    @Test(
      "a wrong flag ends the process with one clear line and code 64",
      arguments: [
        (["-nonsense"], "Unknown option '-nonsense'"),
        (["stray"], "Unexpected argument 'stray'"),
        (["-id"], "Missing value for '-id <name>'"),
        (["-id", ""], "-id '' is not a name"),
        (["-id", "a/b"], "-id 'a/b' is not a name"),
        (["-id", ".."], "-id '..' is not a name"),
        (["--id", String(repeating: "x", count: 65)], "is not a name: use 1 to 64"),
        (["-id=a b"], "-id 'a b' is not a name"),
        (["-raddr", "localhost"], "-raddr 'localhost' is not an address"),
        (["-haddr", "10.0.0.300:1"], "-haddr '10.0.0.300:1' is not an address"),
        (["-haddr", "127.0.0.1:0"], "-haddr '127.0.0.1:0' is not an address"),
        (["-haddr", "::1:8079"], "-haddr '::1:8079' is not an address"),
        (["-haddr", ":8079"], "add -advertise-haddr HOST:PORT"),
        (["-raddr", "0.0.0.0:8080"], "add -advertise-raddr HOST:PORT"),
        (["-raddr", "[::]:8080"], "add -advertise-raddr HOST:PORT"),
        (["-advertise-haddr", ":8079"], "is not an address that others could dial"),
        (["-raddr", "localhost:8079"], "give them different ports"),
        (["-join", "localhost:8079,"], "-join '' is not an address"),
        (["-join", "http://localhost:8079"], "-join 'http://localhost:8079' is not an address"),
        (["-data", ""], "-data is empty"),
        (["-heartbeat", "101ms"], "-heartbeat is above a third of -election-timeout"),
        (["-heartbeat", "0ms"], "-heartbeat must be at least 1ms"),
        (["-heartbeat", "50"], "-heartbeat '50' is not a duration"),
        (["-election-timeout", "2m"], "-election-timeout is above 60s"),
        (["-snapshot-entries", "0"], "must be at least 1"),
        (["-snapshot-bytes", "1.5MiB"], "-snapshot-bytes '1.5MiB' is not a size"),
        (["-max-value-size", "8MiB"], "-max-value-size must be between 1 byte and 7MiB"),
        (["-log-level", "loud"], "use one of debug, info, warning, error"),
      ])
    func wrongFlag(_ flags: [String], _ words: String) throws {
      try Sandbox.run { sandbox in
        let end = try sandbox.run(flags)
        try #require(end.code == 64, "\(end.words)")
        try #require(end.words.hasPrefix("raftkvd: ") && end.words.contains(words), "\(end.words)")
        try #require(end.words.isOneLine, "\(end.words)")
        try #require(Files.list(sandbox.directory) == ["run.log"], "nothing is made")
      }
    }

    @Test(
      "without /proc there are no flags to read, and no node starts that they do not describe",
      .enabled(if: SmallDisk.isPermitted, "a tmpfs may not be mounted here"))
    func noProc() throws {
      guard try Shell.has("unshare") else { return }
      try Sandbox.run { sandbox in
        let script = "mount -t tmpfs none /proc && cd $0 && exec \"$@\""
        let end = try Shell.run(
          "unshare -m sh -c '\(script)' \(sandbox.directory) \(Program.path) -id other",
          within: 30)
        try #require(end.code == 1, "\(end)")
        try #require(end.output.hasPrefix("raftkvd: ") && end.output.contains("/proc"), "\(end)")
        try #require(end.output.isOneLine, "\(end)")
        try #require(Files.list(sandbox.directory).isEmpty, "nothing is made")
      }
    }

    @Test("help and version are asked for with one dash or two", arguments: ["-", "--"])
    func helpAndVersion(_ dash: String) throws {
      try Sandbox.run { sandbox in
        let help = try sandbox.run([dash + "help"])
        try #require(help.code == 0)
        let flags = [
          "id", "raddr", "haddr", "advertise-raddr", "advertise-haddr", "bootstrap", "join", "data",
          "heartbeat", "election-timeout", "snapshot-entries", "snapshot-bytes", "max-value-size",
          "max-connections", "log-level", "log-format", "access-log", "config",
        ]
        for flag in flags { try #require(help.words.contains("-\(flag), --\(flag)"), "\(flag)") }
        for text in ["node1", "localhost:8080", "50ms", "300ms", "100000", "64MiB", "1MiB", "info"]
        {
          let words = help.words.split(whereSeparator: \.isWhitespace).joined(separator: " ")
          try #require(words.contains("default: \(text)"), "\(text): \(words)")
        }
        let version = try sandbox.run([dash + "version"])
        try #require(version.code == 0 && version.words.isOneLine)
        try #require(version.words.hasPrefix("raftkvd "))
      }
    }

    @Test("an address that is taken, unknown or not ours ends the process with code 69")
    func addresses() throws {
      try Sandbox.run { sandbox in
        let taken = try sandbox.node("taken")
        try taken.start()
        try taken.awaitStatus("waits") { $0.role == "waiting" }
        let free = "127.0.0.1:\(try Ports.free())"
        for (raddr, haddr, flag) in [
          (taken.raftAddress, free, "-raddr"), (free, taken.httpAddress, "-haddr"),
          // A wildcard is no way around it.
          (":" + taken.raftAddress.split(separator: ":")[1], free, "-raddr"),
        ] {
          let end = try sandbox.run([
            "-raddr", raddr, "-haddr", haddr, "-advertise-raddr", free, "-join", free,
          ])
          try #require(end.code == 69 && end.words.lastLine.contains("is in use"), "\(end.words)")
          try #require(end.words.lastLine.hasPrefix("raftkvd: \(flag) "), "\(end.words)")
        }
        for address in ["192.0.2.1:\(try Ports.free())", "no-such-host.invalid:8080"] {
          let end = try sandbox.run(["-raddr", address, "-haddr", free, "-bootstrap"])
          try #require(end.code == 69, "\(end.words)")
          try #require(end.words.lastLine.hasPrefix("raftkvd: -raddr \(address) "), "\(end.words)")
        }
      }
    }

    @Test("a directory that cannot be made ends the process with code 74")
    func directory() throws {
      try Sandbox.run { sandbox in
        let addresses = [
          "-raddr", "127.0.0.1:\(try Ports.free())", "-haddr", "127.0.0.1:\(try Ports.free())",
        ]
        for path in ["/proc/no", "/dev/null", "/dev/null/data"] {
          let end = try sandbox.run(addresses + ["-data", path])
          try #require(end.code == 74 && end.words.isOneLine, "\(end.words)")
          try #require(end.words.contains("choose another with -data"), "\(end.words)")
        }
      }
    }

    @Test("the default data directory is data/<id>, private to its owner")
    func defaultDirectory() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("n-1.a_B")
        let process = try Program.spawn(
          ["--id", node.name, "--raddr", node.raftAddress, "--haddr", node.httpAddress],
          log: node.logPath, in: sandbox.directory)
        node.adopt(process)
        try node.awaitStatus("waits") { $0.role == "waiting" && $0.id == node.name }
        try #require(Files.mode("\(sandbox.directory)/data/n-1.a_B") == 0o700)
        try #require(try node.stop() == 0)
      }
    }

    @Test("every form of address works: names, IPv6, wildcards with an address to advertise")
    func addressForms() throws {
      try Sandbox.run { sandbox in
        let (raft, http) = (try Ports.free(), try Ports.free())
        let one = try sandbox.node("node1")
        one.raftAddress = "localhost:\(raft)"
        one.httpAddress = "localhost:\(http)"
        try one.start("-bootstrap")
        try one.awaitStatus("leads") { $0.role == "leader" }
        let two = try sandbox.node("node2", host: "[::1]")
        try two.start("-join", one.httpAddress)
        let three = try sandbox.node("node3")
        let (boundRaft, boundHTTP) = (three.raftAddress, three.httpAddress)
        three.raftAddress = "0.0.0.0:\(boundRaft.split(separator: ":")[1])"
        three.httpAddress = ":\(boundHTTP.split(separator: ":")[1])"
        let flags = [
          "-advertise-raddr", boundRaft, "-advertise-haddr", boundHTTP, "-join",
          "localhost:1,\(two.httpAddress)",
        ]
        try three.start(flags)
        three.httpAddress = boundHTTP
        for node in [one, two, three] { try node.awaitVoters("node1", "node2", "node3") }
        let status = try two.status()
        try #require(status.member("node1")?.addr == "localhost:\(raft)")
        try #require(status.member("node2")?.haddr == two.httpAddress)
        try #require(status.member("node3")?.addr == boundRaft)
        try #require(status.member("node3")?.haddr == boundHTTP)
        try two.put("a", "1")
        for node in [one, two, three] {
          try eventually("\(node.name) has it") { try node.value("a") == "1" }
        }
      }
    }
  }
}

extension String {
  /// What the user sees is one line.
  var isOneLine: Bool { hasSuffix("\n") && split(separator: "\n").count == 1 }
  var lastLine: Substring { split(separator: "\n").last ?? "" }
}
