import Testing

extension DaemonTests {
  /// What a start makes of directories that are taken, strange or damaged.
  /// Nothing is ever changed in them.
  @Suite("Data directories")
  struct DataDirectoryTests {
    @Test("a second process on the same directory ends with code 70 and names the first")
    func locked() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        let other = try sandbox.node("node1")
        let end = try sandbox.run([
          "-id", "node1", "-raddr", other.raftAddress, "-haddr", other.httpAddress, "-data",
          node.directory,
        ])
        try #require(end.code == 70 && end.words.isOneLine, "\(end.words)")
        try #require(end.words.contains("in use by process \(node.process!)"), "\(end.words)")
        try #require(try node.put("a", "1").status == 200)
        // The lock ends with the process, however that ends.
        try node.kill9()
        try node.start()
        try node.awaitStatus("leads again") { $0.role == "leader" }
      }
    }

    @Test(
      "another node's directory, and files of something else, end with code 71 or are left alone")
    func foreign() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        try #require(try node.stop() == 0)
        let end = try sandbox.run([
          "-id", "node7", "-raddr", node.raftAddress, "-haddr", node.httpAddress, "-data",
          node.directory,
        ])
        try #require(end.code == 71 && end.words.isOneLine, "\(end.words)")
        try #require(end.words.contains("belongs to node 'node1', not to 'node7'"), "\(end.words)")

        try Files.write(Array("mine".utf8), to: "\(node.directory)/notes.txt")
        try node.start()
        try node.awaitStatus("leads again") { $0.role == "leader" }
        try #require(Program.contents(of: "\(node.directory)/notes.txt") == "mine")
      }
    }

    @Test("damage in the middle of the log ends with code 73 and the procedure, every time")
    func corruptLog() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        for number in 0..<20 { try node.put("key\(number)", String(repeating: "v", count: 600)) }
        try node.kill9()
        let segment = try #require(Files.list(node.directory).first { $0.hasPrefix("log-") })
        let path = "\(node.directory)/\(segment)"
        let bytes = Program.bytes(of: path)
        let value = Array(repeating: UInt8(ascii: "v"), count: 600)
        let place = try #require(bytes.firstRange(of: value)?.lowerBound)
        try Files.flipByte(of: path, at: place + 300)
        for _ in 0..<2 {
          let end = try sandbox.run(node.flags)
          try #require(end.code == 73, "\(end.words)")
          try #require(end.words.lastLine.contains("Remove it from the cluster"), "\(end.words)")
        }
        // The damage undone, all is there: nothing had been touched.
        try Files.flipByte(of: path, at: place + 300)
        try node.start()
        try node.awaitStatus("leads again") { $0.role == "leader" }
        try #require(try node.value("key19")?.count == 600)
      }
    }

    @Test("one damaged slot of the hard state is mended, two end with code 73")
    func hardState() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        try node.put("a", "1")
        let term = try node.status().term
        try node.kill9()
        let path = "\(node.directory)/hard-state"
        for slot in [0, 65_536] {
          try Files.flipByte(of: path, at: slot + 20)
          try node.start()
          let status = try node.awaitStatus("leads again") { $0.role == "leader" }
          try #require(status.term > term)
          try node.kill9()
        }
        for slot in [0, 65_536] { try Files.flipByte(of: path, at: slot + 20) }
        let end = try sandbox.run(node.flags)
        try #require(end.code == 73, "\(end.words)")
        try #require(end.words.lastLine.contains("Remove it from the cluster"), "\(end.words)")
      }
    }

    @Test("an identity that is gone or damaged is not made anew beside a log")
    func identity() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        try node.put("a", "1")
        try node.kill9()
        let path = "\(node.directory)/identity"
        let bytes = Program.bytes(of: path)
        try Files.flipByte(of: path, at: 20)
        try #require(try sandbox.run(node.flags + ["-bootstrap"]).code == 73)
        Files.removeTree(path)
        let end = try sandbox.run(node.flags + ["-bootstrap"])
        try #require(end.code == 73 && end.words.lastLine.contains("identity"), "\(end.words)")
        try Files.write(bytes, to: path)
        try node.start()
        try node.awaitStatus("leads again") { $0.role == "leader" }
        try #require(try node.value("a") == "1")
      }
    }

    @Test("a directory of a newer version is left alone, with code 72")
    func newer() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        try #require(try node.stop() == 0)
        try Tampering.raiseVersion(ofIdentityIn: node.directory)
        let before = Program.bytes(of: "\(node.directory)/identity")
        let end = try sandbox.run(node.flags + ["-bootstrap"])
        try #require(end.code == 72 && end.words.isOneLine, "\(end.words)")
        try #require(end.words.contains("format version 2"), "\(end.words)")
        try #require(Program.bytes(of: "\(node.directory)/identity") == before)
      }
    }

    @Test("an entry of an unknown kind stops the node with code 77; it is never skipped")
    func unknownCommand() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        try node.put("a", "1")
        try #require(try node.stop() == 0)
        var command = Tampering.put("a", "2")
        command[1] = 99
        try Tampering.append(command, to: node.directory)
        for _ in 0..<2 {
          let end = try sandbox.run(node.flags)
          try #require(end.code == 77, "\(end.words)")
          try #require(end.words.lastLine.contains("at least as new"), "\(end.words)")
        }
      }
    }

    @Test("a node whose state differs from the majority's is stopped with code 75, its data kept")
    func diverged() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let leader = try sandbox.leader(of: nodes)
        let deviant = nodes.first { $0 !== leader }!
        let others = nodes.filter { $0 !== deviant }
        try others[0].put("a", "right")
        try #require(try sandbox.converge(nodes))
        try #require(try deviant.stop() == 0)
        try Tampering.replaceLast(with: Tampering.put("a", "wrong"), in: deviant.directory)
        try deviant.start()
        try deviant.awaitStatus("is back") { $0.leader != nil }
        try eventually("it has the wrong value") { try deviant.value("a") == "wrong" }
        // Hashes are compared every 1024 entries.
        let connection = try Connection(to: try sandbox.leader(of: others).httpAddress)
        for number in 0..<1100 {
          try connection.send(
            "PUT /key?key=k\(number % 7) HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
          if number % 50 == 49 {
            for _ in 0..<50 { try #require(try connection.response().status == 200) }
          }
        }
        try #require(try deviant.exitCode() == 75)
        try #require(deviant.log.split(separator: "\n").last?.contains("differs from") == true)
        try #require(Files.list(deviant.directory).contains("identity"))
        try #require(try others[0].put("a", "still right").status == 200)
        try #require(try sandbox.converge(others))
      }
    }

    @Test("-bootstrap and -join are harmless where there is a node already")
    func again() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        try nodes[0].put("a", "1")
        let cluster = try nodes[0].status().clusterId
        for node in nodes { try #require(try node.stop() == 0) }
        let nobody = "127.0.0.1:\(try Ports.free())"
        try nodes[0].start("-bootstrap", "-join", nobody)
        try nodes[1].start("-bootstrap", "-join", nodes[0].httpAddress)
        for node in nodes {
          let status = try node.awaitVoters("node1", "node2")
          try #require(status.clusterId == cluster)
          try eventually("\(node.name) has the value") { try node.value("a") == "1" }
        }
      }
    }
  }
}
