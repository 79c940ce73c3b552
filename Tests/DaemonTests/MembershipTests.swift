import Glibc
import Testing

extension DaemonTests {
  @Suite("Join and remove")
  struct MembershipTests {
    @Test("joins that cannot succeed leave nothing behind, and a join repeated is harmless")
    func joins() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        let before = try nodes[0].status()
        // Nobody listens; somebody listens who is no raftkvd; somebody who
        // says nothing; another name.
        let silent = try sandbox.node("silent")
        try silent.start()
        try silent.awaitStatus("waits") { $0.role == "waiting" }
        for address in ["127.0.0.1:\(try Ports.free())", nodes[0].httpAddress, "nowhere.invalid:1"]
        {
          let answer = try nodes[0].get("/join?id=node3&addr=\(address)")
          try #require(answer.status == 504 && answer.error == "unreachable", "\(answer.text)")
        }
        let named = try nodes[0].get("/join?id=node3&addr=\(silent.raftAddress)")
        try #require(named.status == 409 && named.error == "refused", "\(named.text)")
        try #require(named.text.contains("this is node 'silent'"), "\(named.text)")
        silent.send(SIGSTOP)
        let answer = try nodes[0].get("/join?id=silent&addr=\(silent.raftAddress)")
        silent.send(SIGCONT)
        try #require(answer.status == 504 && answer.error == "unreachable", "\(answer.text)")
        for node in nodes {
          let after = try node.awaitStatus("has two members") { $0.members.count == 2 }
          try #require(after.term == before.term && after.lastIndex == before.lastIndex)
        }
        try #require(try silent.status().role == "waiting")

        // Joined by hand, twice, by POST and through a follower.
        for _ in 0..<2 {
          let joined = try nodes[1].request(
            "POST", "/join?id=silent&addr=\(silent.raftAddress)", follows: true)
          try #require(joined.status == 200)
          try #require(try joined.decode(JoinBody.self).role == "voter")
        }
        try silent.awaitVoters("node1", "node2", "silent")
        try #require(try nodes[0].status().lastIndex == before.lastIndex + 2, "learner and voter")
        // A node that is down is a member all the same.
        try silent.kill9()
        let again = try nodes[0].get("/join?id=silent&addr=\(silent.raftAddress)")
        try #require(again.status == 200)
      }
    }

    @Test("removes: unknown, too many, the leader itself; and a removed node joins again as it is")
    func removes() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        try nodes[0].put("a", "1")
        let unknown = try nodes[0].get("/remove?id=node9", follows: true)
        try #require(unknown.status == 404 && unknown.error == "unknown_member")

        // With one of three down, only that one may go.
        try nodes[2].kill9()
        let survivor = try sandbox.leader(of: [nodes[0], nodes[1]])
        try survivor.awaitStatus("notices that node3 is down") {
          $0.member("node3")?.lastContactMs ?? 0 > 5_000
        }
        let other = survivor === nodes[0] ? nodes[1] : nodes[0]
        let refused = try survivor.get("/remove?id=\(other.name)")
        try #require(refused.status == 409 && refused.error == "would_lose_quorum")
        try nodes[2].start()
        try nodes[2].awaitStatus("is back") { $0.leader != nil }

        let leader = try sandbox.leader(of: nodes)
        let others = nodes.filter { $0 !== leader }
        // Refused for as long as node3, which has just come back, is not connected with everybody.
        var removed: Response?
        try eventually("the leader may go") {
          removed = try others[0].request("POST", "/remove?id=\(leader.name)", follows: true)
          return removed?.status != 409 && removed?.status != 503
        }
        try #require(removed?.status == 200, "\(removed?.text ?? "")")
        _ = try sandbox.leader(of: others)
        try leader.awaitStatus("learns it") { $0.role == "removed" }
        // A restart does not make it forget, nor does -bootstrap or -join make it more than it is.
        try #require(try leader.stop() == 0)
        try others[0].put("a", "2")
        try leader.start("-bootstrap")
        try leader.awaitStatus("still is removed") { $0.role == "removed" }
        let joined = try others[0].get(
          "/join?id=\(leader.name)&addr=\(leader.raftAddress)", follows: true)
        try #require(joined.status == 200, "\(joined.text)")
        for node in nodes { try node.awaitVoters("node1", "node2", "node3") }
        try eventually("it has what it missed") { try leader.value("a") == "2" }
        try #require(try sandbox.converge(nodes))
      }
    }

    @Test("members go one by one, down to the last voter, who stays")
    func down() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        try nodes[0].put("a", "1")
        // Not even the dead hinder: the majority of what remains is alive.
        try nodes[1].kill9()
        try #require(try nodes[0].get("/remove?id=node2", follows: true).status == 200)
        let leader = try sandbox.leader(of: [nodes[0], nodes[2]])
        let other = leader === nodes[0] ? nodes[2] : nodes[0]
        try #require(try leader.get("/remove?id=\(other.name)").status == 200)
        try leader.awaitStatus("is alone") { $0.voters == [leader.name] && $0.role == "leader" }
        let last = try leader.get("/remove?id=\(leader.name)&force=true")
        try #require(last.status == 409 && last.error == "last_voter")
        try #require(try leader.put("a", "2").status == 200)
        // node2 was dead while it was removed: when it comes back it is told.
        try nodes[1].start()
        try nodes[1].awaitStatus("learns it") { $0.role == "removed" || $0.role == "follower" }
        try #require(try leader.status().role == "leader")
      }
    }
  }
}
