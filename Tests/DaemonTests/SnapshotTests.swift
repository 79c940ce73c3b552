import Testing

extension DaemonTests {
  @Suite("Snapshots")
  struct SnapshotTests {
    private static let flags = ["-snapshot-entries", "100", "-snapshot-bytes", "64KiB"]

    @Test("the log is compacted, a start loads the snapshot, and a new node is sent it")
    func compaction() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2, Self.flags)
        var expected: [String: String] = [:]
        let connection = try Connection(to: nodes[0].httpAddress)
        // Snapshots come every hundred entries, each of a mebibyte here. The third lets go what
        // lies more than the tail of 64 MiB before it: more than a segment.
        for number in 0..<330 {
          let key = "big\(number % 20)"
          expected[key] = "\(number) " + String(repeating: "x", count: 1 << 20 - 8)
          try connection.send(
            "PUT /key?key=\(key) HTTP/1.1\r\nHost: x\r\n"
              + "Content-Length: \(expected[key]!.utf8.count)\r\n\r\n\(expected[key]!)")
          try #require(try connection.response().status == 200)
        }
        for node in nodes {
          try eventually("\(node.name) has a snapshot and has let log go") {
            let names = Files.list(node.directory)
            return names.contains { $0.hasPrefix("snapshot-") && !$0.hasSuffix(".tmp") }
              && node.segments.first != nodes[0].firstSegmentName
          }
        }
        // A node that needs the snapshot.
        let third = try sandbox.node("node3")
        try third.start(["-join", nodes[1].httpAddress] + Self.flags)
        try third.awaitVoters("node1", "node2", "node3")
        try #require(third.log.contains("installed the snapshot of"))
        try #require(try third.missing(expected, level: "stale").isEmpty)
        // And a start of all from theirs.
        let all = nodes + [third]
        for node in all { try node.kill9() }
        for node in all { try node.start(Self.flags) }
        let leader = try sandbox.leader(of: all)
        try #require(try leader.missing(expected, level: "consistent").isEmpty)
        try #require(try sandbox.converge(all))
        try #require(try leader.put("after", "1").status == 200)
        for node in all { try #require(try node.missing(expected, level: "stale").isEmpty) }
      }
    }

    @Test("a snapshot is installed, and others are taken, while writes go on")
    func underLoad() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2, Self.flags)
        let connection = try Connection(to: try sandbox.leader(of: nodes).httpAddress)
        for number in 0..<230 {
          let value = "\(number) " + String(repeating: "x", count: 1 << 20 - 8)
          try connection.send(
            "PUT /key?key=big\(number % 40) HTTP/1.1\r\nHost: x\r\n"
              + "Content-Length: \(value.utf8.count)\r\n\r\n\(value)")
          try #require(try connection.response().status == 200)
        }
        for node in nodes {
          try eventually("\(node.name) has let log go") {
            node.segments.first != node.firstSegmentName
          }
        }
        let third = try sandbox.node("node3")
        let all = nodes + [third]
        let writers = Writers(6, to: nodes.map(\.httpAddress))
        try writers.awaitMore(50)
        try third.start(["-join", nodes[1].httpAddress] + Self.flags)
        try third.awaitVoters("node1", "node2", "node3")
        try writers.awaitMore(300)
        try #require(third.log.contains("installed the snapshot of"))
        let promised = try writers.stop()
        try #require(try sandbox.converge(all))
        for node in all { try #require(try node.missing(promised, level: "stale").isEmpty) }
      }
    }
  }
}

extension Node {
  /// The files of its log, oldest first.
  var segments: [String] {
    Files.list(directory).filter { $0.hasPrefix("log-") && !$0.hasSuffix(".tmp") }
  }
  /// What every log begins with.
  var firstSegmentName: String { "log-0000000000000001" }
}
