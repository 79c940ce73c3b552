import Testing

extension DaemonTests {
  /// Disks without space.
  @Suite("Disks in trouble")
  struct DiskTroubleTests {
    /// Two segments, the ballast, and as much again, which a filler takes.
    private static let mebibytes = 320
    private static let mebibyte = String(repeating: "x", count: 1 << 20 - 16)

    @Test(
      "a leader whose disk is full hands over, is not elected, and catches up once there is space",
      .enabled(if: SmallDisk.isPermitted, "a tmpfs may not be mounted here"))
    func leader() throws {
      try Sandbox.run { sandbox in
        let disk = try sandbox.smallDisk(mebibytes: Self.mebibytes)
        let full = try sandbox.node("node1", in: disk.path)
        let others = try (2...3).map { try sandbox.node("node\($0)") }
        let nodes = [full] + others
        try sandbox.start(nodes)
        try full.awaitPreparation()
        try disk.fill()
        let process = full.process

        // Writes go on all the while: whoever leads takes them.
        var expected: [String: String] = [:]
        try eventually("node1 is full", within: 300) {
          let key = "big\(expected.count)"
          expected[key] = "\(expected.count) \(Self.mebibyte)"
          let answer = try full.put(key, expected[key]!)
          try #require(answer.status == 200, "\(answer.text)")
          return full.log.contains("the disk is full")
        }
        try full.awaitStatus("another one leads") {
          $0.role == "follower" && $0.leader?.id ?? "node1" != "node1"
        }
        // Nor does it take over while there is anybody else.
        for down in others {
          let other = others.first { $0 !== down }!
          if try sandbox.leader(of: nodes) !== down { continue }
          try down.kill9()
          try #require(try sandbox.leader(of: [full, other]) === other)
          try down.start()
          _ = try sandbox.leader(of: nodes)
        }
        // It serves what it has, and the cluster serves all.
        for number in 0..<20 {
          expected["small\(number)"] = "\(number)"
          try #require(try full.put("small\(number)", "\(number)").status == 200)
        }
        try #require(try full.value("big0") == expected["big0"])
        try #require(try full.value("small19", level: "consistent") == "19")
        expected["big1"] = nil
        try #require(try full.request("DELETE", "/key?key=big1", follows: true).status == 200)

        disk.empty()
        try eventually("there is space again") { full.log.contains("the disk is healthy again") }
        try #require(try sandbox.converge(nodes))
        try #require(try full.missing(expected, level: "stale").isEmpty)
        try #require(full.process == process && full.isRunning, "without a restart")
      }
    }

    @Test(
      "a lone node answers writes with 507, reads and deletes go on, and deletes make room",
      .enabled(if: SmallDisk.isPermitted, "a tmpfs may not be mounted here"))
    func alone() throws {
      try Sandbox.run { sandbox in
        let (node, disk) = try fullNode(sandbox)
        let process = node.process

        // Of so much no snapshot fits into what the ballast gives.
        let count = try write(to: node) { "big\($0)" }
        try #require(count >= 80, "two segments were to be had: \(count)")
        try eventually("the snapshot fails") {
          node.log.contains("the snapshot could not be written")
        }
        try eventually("its space is the ballast's again") {
          Files.list(node.directory).contains("ballast")
        }
        for number in 0..<3 {
          try expectFull(node)
          for level in ["default", "stale", "consistent"] {
            let read = try node.get("/key?key=big\(number)&level=\(level)")
            try #require(read.status == 200 && read.body.count > 1 << 19)
          }
          try #require(try node.status().role == "leader")
          Clock.sleep(0.3)
        }
        // All deleted, a snapshot is small: what the ballast gives is enough for it.
        for number in 0..<count {
          let deleted = try node.request("DELETE", "/key?key=big\(number)")
          try #require(deleted.status == 200, "\(deleted.text)")
          try #require(try deleted.decode(WriteBody.self).deleted == true)
        }
        try #require(try node.get("/key?key=big0").status == 404)
        try eventually("there is room again") {
          try node.request("PUT", "/key?key=a", body: [1]).status == 200
        }
        try #require(node.log.contains("has a snapshot of"))

        // And again, until somebody clears the disk.
        _ = try write(to: node) { "more\($0)" }
        disk.empty()
        try eventually("there is space again") {
          try node.request("PUT", "/key?key=a", body: [2]).status == 200
        }
        try #require(try node.value("more0")?.utf8.count ?? 0 > 1 << 19)
        try #require(node.process == process && node.isRunning, "without a restart")
      }
    }

    @Test(
      "overwriting never fills a disk for long: a snapshot out of the ballast lets the log go",
      .enabled(if: SmallDisk.isPermitted, "a tmpfs may not be mounted here"))
    func compaction() throws {
      try Sandbox.run { sandbox in
        let node = try fullNode(sandbox).node
        for _ in 0..<2 {
          _ = try write(to: node) { "key\($0 % 4)" }
          try eventually("the snapshot makes room") {
            try node.request("PUT", "/key?key=a", body: [1]).status == 200
          }
        }
        try #require(node.log.contains("has a snapshot of"))
        // What was compacted so is all there after a start.
        try node.kill9()
        try node.start()
        try node.awaitStatus("leads again") { $0.role == "leader" }
        for number in 0..<4 {
          let value = try node.value("key\(number)", level: "consistent")
          try #require(value?.utf8.count ?? 0 > 1 << 19)
        }
      }
    }

    /// A lone node, up and with its segments made, on a disk that has no more room.
    private func fullNode(_ sandbox: Sandbox) throws -> (node: Node, disk: SmallDisk) {
      let disk = try sandbox.smallDisk(mebibytes: Self.mebibytes)
      let node = try sandbox.node("node1", in: disk.path)
      try sandbox.start([node])
      try node.awaitPreparation()
      try disk.fill()
      return (node, disk)
    }

    /// Writes a mebibyte after the other until one gets 507; returns how many were taken.
    private func write(to node: Node, _ key: (Int) -> String) throws -> Int {
      var count = 0
      while true {
        let answer = try node.request(
          "PUT", "/key?key=\(key(count))", body: Array("\(count) \(Self.mebibyte)".utf8))
        if answer.status == 507, answer.error == "disk_full" { return count }
        try #require(answer.status == 200 && count < 1000, "\(answer.status) \(answer.text)")
        count += 1
      }
    }

    private func expectFull(_ node: Node) throws {
      let put = try node.request("PUT", "/key?key=a", body: [1])
      try #require(put.status == 507 && put.error == "disk_full", "\(put.text)")
      let post = try node.request("POST", "/key", body: Client.json("a", "b"))
      try #require(post.status == 507 && post.error == "disk_full", "\(post.text)")
      // Who asks first need not send the value at all.
      let asking = try Connection(to: node.httpAddress)
      try asking.send(
        "PUT /key?key=a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
      try #require(try asking.response().status == 507)
    }
  }
}
