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

    @Test("a node just killed counts as gone at once: no remove may cost the quorum")
    func killedJustNow() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let leader = try sandbox.leader(of: nodes)
        let others = nodes.filter { $0 !== leader }
        for (killed, asked) in [(others[0], others[1]), (others[1], others[0])] {
          let connection = try Connection(to: leader.httpAddress)
          killed.send(SIGKILL)
          try connection.send(
            "POST /remove?id=\(asked.name) HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
          let answer = try connection.response()
          try #require(answer.status == 409 && answer.error == "would_lose_quorum")
          try #require(try leader.status().voters.count == 3)
          _ = try killed.exitCode()
          try killed.start()
          try killed.awaitStatus("is back") { $0.leader != nil }
          try #require(try sandbox.converge(nodes))
        }
      }
    }

    @Test("force=true removes although the quorum would be lost, for whoever knows better")
    func force() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let leader = try sandbox.leader(of: nodes)
        let others = nodes.filter { $0 !== leader }
        // One stands still and will be back: the operator knows, the cluster cannot.
        others[1].send(SIGSTOP)
        defer { others[1].send(SIGCONT) }
        let refused = try leader.get("/remove?id=\(others[0].name)")
        try #require(refused.status == 409 && refused.error == "would_lose_quorum")
        let connection = try Connection(to: leader.httpAddress)
        try connection.send(
          "GET /remove?id=\(others[0].name)&force=true HTTP/1.1\r\nHost: x\r\n\r\n")
        // In force as soon as it is appended, committed or not.
        try leader.awaitStatus("has two voters") { !$0.voters.contains(others[0].name) }
        others[1].send(SIGCONT)
        let answer = try connection.response()
        // Committed in time, or not known to be: then it is asked again.
        try #require([200, 504].contains(answer.status), "\(answer.text)")
        try eventually("it is removed") {
          let rest = [leader, others[1]].compactMap { try? $0.status() }
          if rest.count == 2, rest.allSatisfy({ $0.voters.count == 2 && $0.leader != nil }) {
            return true
          }
          _ = try? leader.get("/remove?id=\(others[0].name)&force=true", follows: true)
          return false
        }
        try #require(try others[1].put("a", "1").status == 200)
      }
    }

    @Test("a learner that makes no progress is given up after ten seconds; nothing is left of it")
    func stalled() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        let leader = try sandbox.leader(of: nodes)
        let mute = try MutePeer("mute")
        defer { mute.stop() }
        let target = "/join?id=mute&addr=\(mute.address)"
        let first = try Connection(to: leader.httpAddress)
        try first.send("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n")
        let status = try leader.awaitStatus("it is a learner") {
          $0.member("mute")?.role == "learner"
        }
        // Until then it counts for nothing; a second request waits for the same end.
        try #require(status.voters == ["node1", "node2"])
        let second = try Connection(to: leader.httpAddress)
        try second.send("POST \(target) HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        try #require(try leader.put("a", "1").status == 200)
        for connection in [first, second] {
          let answer = try connection.response()
          try #require(answer.status == 504 && answer.error == "join_stalled", "\(answer.text)")
        }
        for node in nodes { try node.awaitStatus("has two members") { $0.members.count == 2 } }
        try #require(try leader.put("a", "2").status == 200)
      }
    }

    @Test("addresses that the operator gives to /join stand, through reconnects and new leaders")
    func givenAddresses() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 2)
        let third = try sandbox.node("node3")
        try third.start()
        try third.awaitStatus("waits") { $0.role == "waiting" }
        func named(_ address: String) -> String { "localhost:" + address.split(separator: ":")[1] }
        let (addr, haddr) = (named(third.raftAddress), named(third.httpAddress))
        let joined = try nodes[0].get("/join?id=node3&addr=\(addr)&haddr=\(haddr)", follows: true)
        try #require(joined.status == 200, "\(joined.text)")
        for _ in 0..<3 {
          let leader = try sandbox.leader(of: nodes + [third])
          for node in nodes + [third] {
            let status = try node.awaitVoters("node1", "node2", "node3")
            try #require(status.member("node3")?.addr == addr)
            try #require(status.member("node3")?.haddr == haddr)
          }
          if leader === third { break }
          // Each of the others leads once, and meets node3 anew.
          try leader.kill9()
          _ = try sandbox.leader(of: (nodes + [third]).filter { $0 !== leader })
          try leader.start()
          try leader.awaitStatus("is back") { $0.leader != nil }
        }
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
        try nodes[1].awaitStatus("learns it") { $0.role == "removed" }
        try #require(try leader.status().role == "leader")
      }
    }
  }
}
