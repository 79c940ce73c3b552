import Glibc
import Testing

extension DaemonTests {
  /// Wiped disks, new addresses, and clusters that must not mix.
  @Suite("Identity")
  struct IdentityTests {
    @Test("a wiped disk under an old name neither joins nor bootstraps before it was removed")
    func wipedDisk() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        try nodes[0].put("a", "1")
        let node = nodes[2]
        try node.kill9()
        Files.removeTree(node.directory)
        let cluster = try nodes[0].status().clusterId

        let end = try sandbox.run(node.flags + ["-bootstrap"])
        try #require(end.code == 76, "\(end.words)")
        try #require(end.words.lastLine.contains("its disk was wiped"), "\(end.words)")
        try #require(end.words.lastLine.contains("/remove?id=node3"), "\(end.words)")
        try #require(!Files.list(node.directory).contains("identity"), "nothing is made")

        try node.start("-join", nodes[0].httpAddress)
        try eventually("it is told") { node.log.contains("other_incarnation") }
        try #require(try node.status().role == "waiting")
        let refused = try nodes[0].get("/join?id=node3&addr=\(node.raftAddress)", follows: true)
        try #require(refused.status == 409 && refused.error == "other_incarnation")
        try #require(refused.text.contains("/remove?id=node3"))

        try #require(try nodes[0].get("/remove?id=node3", follows: true).status == 200)
        // It keeps asking, so this is all.
        for node in nodes {
          let status = try node.awaitVoters("node1", "node2", "node3")
          try #require(status.clusterId == cluster)
        }
        try eventually("it has the data again") { try node.value("a") == "1" }
        try #require(try sandbox.converge(nodes))
      }
    }

    @Test("-bootstrap with -join joins where a cluster is, and makes one where none is")
    func bootstrapAndJoin() throws {
      try Sandbox.run { sandbox in
        let nodes = try (1...2).map { try sandbox.node("node\($0)") }
        let addresses = nodes.map(\.httpAddress).joined(separator: ",")
        try nodes[0].start("-bootstrap", "-join", addresses)
        try nodes[0].awaitStatus("leads") { $0.role == "leader" }
        try nodes[1].start("-bootstrap", "-join", addresses)
        for node in nodes { try node.awaitVoters("node1", "node2") }
        try #require(nodes[1].log.contains("joining it instead of making one"))
      }
    }

    @Test("a node that comes back with other addresses is found, and clients are sent there")
    func addresses() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        // A follower, then the leader: both say it in their hello.
        for _ in 0..<2 {
          let moving = try sandbox.leader(of: nodes)
          let others = nodes.filter { $0 !== moving }
          try #require(try moving.stop() == 0)
          moving.raftAddress = "127.0.0.1:\(try Ports.free())"
          moving.httpAddress = "127.0.0.1:\(try Ports.free())"
          try moving.start()
          for node in nodes {
            try node.awaitStatus("knows the new addresses") {
              $0.member(moving.name)?.addr == moving.raftAddress
                && $0.member(moving.name)?.haddr == moving.httpAddress
            }
          }
          try #require(try others[0].put("a", "1").status == 200)
        }
        // By hand: the address is looked at, then recorded.
        let leader = try sandbox.leader(of: nodes)
        let moving = try #require(nodes.first { $0 !== leader })
        try #require(try moving.stop() == 0)
        moving.raftAddress = "127.0.0.1:\(try Ports.free())"
        try moving.start()
        let joined = try leader.get("/join?id=\(moving.name)&addr=\(moving.raftAddress)")
        try #require(joined.status == 200, "\(joined.text)")
        try #require(try joined.decode(JoinBody.self).addr == moving.raftAddress)
        try #require(try joined.decode(JoinBody.self).haddr == moving.httpAddress)
        try #require(try sandbox.converge(nodes))
      }
    }

    @Test("a node that moved is found by a leader that it does not know: others tell the leader")
    func unknownLeader() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let (gone, known, moving) = (nodes[0], nodes[1], nodes[2])
        try #require(try moving.stop() == 0)
        let newcomers = try ["node4", "node5"].map { try sandbox.node($0) }
        for node in newcomers { try node.start("-join", known.httpAddress) }
        let others = [known] + newcomers
        for node in others { try node.awaitVoters("node1", "node2", "node3", "node4", "node5") }
        // Of those that the moving node knows one is left, and that one follows.
        try gone.kill9()
        try eventually("a newcomer leads") {
          guard try sandbox.leader(of: others) === known else { return true }
          // A leader that is to be removed hands over first; who leads then is not asked.
          _ = try? known.get("/remove?id=\(known.name)")
          return false
        }
        moving.raftAddress = "127.0.0.1:\(try Ports.free())"
        moving.httpAddress = "127.0.0.1:\(try Ports.free())"
        try moving.start()
        for node in others + [moving] {
          try node.awaitStatus("knows the new addresses") {
            $0.member(moving.name)?.addr == moving.raftAddress
              && $0.member(moving.name)?.haddr == moving.httpAddress
          }
        }
        try #require(try sandbox.converge(others + [moving]))
      }
    }

    @Test("a cluster made by mistake beside an existing one takes no writes")
    func otherCluster() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        try nodes[1].kill9()
        Files.removeTree(nodes[1].directory)
        // Nobody tells it in time that it is known.
        nodes[0].send(SIGSTOP)
        try nodes[1].start("-bootstrap")
        try nodes[1].awaitStatus("has made a cluster") { $0.role == "leader" }
        nodes[0].send(SIGCONT)
        try eventually("it is told") {
          let answer = try nodes[1].request("PUT", "/key?key=a", body: [1])
          return answer.status == 503 && answer.error == "other_cluster"
            && answer["Retry-After"] != nil
        }
        for target in ["/join?id=node9&addr=127.0.0.1:1", "/remove?id=node1"] {
          try #require(try nodes[1].get(target).error == "other_cluster")
        }
        try #require(try nodes[1].get("/key?key=b&level=stale").status == 404)
      }
    }

    @Test("two clusters whose addresses are crossed never mix")
    func crossed() throws {
      try Sandbox.run { sandbox in
        var clusters: [[Node]] = []
        for number in 0..<2 {
          let parent = "\(sandbox.directory)/\(number)"
          mkdir(parent, 0o700)
          let nodes = try (1...3).map { try sandbox.node("node\($0)", in: parent) }
          try sandbox.start(nodes)
          try nodes[0].put("cluster", "\(number)")
          clusters.append(nodes)
        }
        let ids = try clusters.map { try $0[0].status().clusterId }
        // node3 of each comes back at the address of the other's.
        let (left, right) = (clusters[0][2], clusters[1][2])
        for node in [left, right] { try #require(try node.stop() == 0) }
        swap(&left.raftAddress, &right.raftAddress)
        for node in [left, right] { try node.start() }
        for (number, nodes) in clusters.enumerated() {
          for node in nodes {
            let status = try node.awaitVoters("node1", "node2", "node3")
            try #require(status.clusterId == ids[number])
          }
          try #require(try nodes[0].put("cluster", "still \(number)").status == 200)
          try eventually("node3 of cluster \(number) keeps up") {
            try nodes[2].value("cluster") == "still \(number)"
          }
          try #require(try sandbox.converge(nodes))
        }
        // A node of one cluster asks the other to be let in: it is refused, whatever it is called.
        let refused = try clusters[0][0].get(
          "/join?id=node3&addr=\(right.raftAddress)", follows: true)
        try #require(refused.status == 409, "\(refused.text)")
      }
    }
  }
}
