import Testing

extension DaemonTests {
  /// The session that the README promises, word by word.
  @Suite("The session of the README")
  struct SessionTests {
    @Test(
      "three nodes, joined one through the other, driven by curl, with checks and as shipped",
      arguments: [Program.path] + [Program.releasePath].compactMap { $0 })
    func session(_ program: String) throws {
      try Sandbox.run(program: program) { sandbox in
        let (one, two, three) = try startThree(sandbox)
        try writeAndRead(one, two, three)
        try changeMembers(sandbox, one, two, three)
      }
    }

    /// The third joins through a follower, which sends it to the leader.
    private func startThree(_ sandbox: Sandbox) throws -> (Node, Node, Node) {
      let nodes = try (1...3).map { try sandbox.node("node\($0)") }
      try nodes[0].start("-bootstrap")
      try nodes[0].awaitStatus("leads alone") { $0.role == "leader" }
      try nodes[1].start("-join", nodes[0].httpAddress)
      try nodes[1].awaitVoters("node1", "node2")
      try nodes[2].start("-join", nodes[1].httpAddress)
      for node in nodes { try node.awaitVoters("node1", "node2", "node3") }
      try #require(try nodes[0].status().role == "leader")
      // It may vote before it has read the answer to its request.
      let words = "joined the cluster through \(nodes[1].httpAddress)"
      try eventually("node3 says through whom it joined") { nodes[2].log.contains(words) }
      return (nodes[0], nodes[1], nodes[2])
    }

    private func writeAndRead(_ one: Node, _ two: Node, _ three: Node) throws {
      let body = Client.json("raft", "paxos")
      let written = try one.request("POST", "/key", body: body, follows: true)
      try #require(written.status == 200)
      let index = try #require(written.index)

      let read = try one.get("/key?key=raft&level=default")
      try #require(read.status == 200 && read.text == "paxos")
      try #require(read["Content-Type"] == "text/plain; charset=utf-8")
      try #require(read["X-Content-Type-Options"] == "nosniff")
      try #require(read["X-RaftKV-Index"] == "\(index)")

      try eventually("the write reaches node2") { try two.value("raft") == "paxos" }
      let stale = try two.get("/key?key=raft&level=stale")
      try #require(stale["X-RaftKV-Last-Contact"].flatMap(Int.init) != nil)
      let applied = try #require(stale["X-RaftKV-Applied-Index"].flatMap(UInt64.init))
      try #require(applied >= index)

      let target = "/key?key=raft&level=consistent"
      let redirect = try two.get(target)
      try #require(redirect.status == 307)
      try #require(redirect["Location"] == "http://\(one.httpAddress)\(target)")
      try #require(try redirect.decode(RedirectBody.self).leader.id == "node1")
      try #require(try two.get(target, follows: true).text == "paxos")
      try #require(try three.request("POST", "/key", body: body, follows: true).status == 200)

      let deleted = try one.request("DELETE", "/key/?key=raft")
      try #require(try deleted.decode(WriteBody.self).deleted == true)
      let again = try two.request("DELETE", "/key?key=raft", follows: true)
      try #require(try again.decode(WriteBody.self).deleted == false)
      try #require(try one.get("/key?key=raft").status == 404)
    }

    /// node4 is started to wait, and joined by hand; node2 is removed and learns it.
    private func changeMembers(
      _ sandbox: Sandbox, _ one: Node, _ two: Node, _ three: Node
    ) throws {
      let four = try sandbox.node("node4")
      try four.start()
      try four.awaitStatus("waits") { $0.role == "waiting" }
      let joined = try one.get("/join?id=node4&addr=\(four.raftAddress)")
      try #require(joined.status == 200)
      let member = try joined.decode(JoinBody.self)
      try #require(member.id == "node4" && member.role == "voter")
      try #require(member.addr == four.raftAddress && member.haddr == four.httpAddress)

      let removed = try one.get("/remove?id=node2")
      try #require(removed.status == 200)
      for node in [one, three, four] { try node.awaitVoters("node1", "node3", "node4") }
      try two.awaitStatus("learns that it was removed") { $0.role == "removed" }
      try #require(two.log.contains("this node was removed from the cluster"))
      // For a moment it still sends clients to the leader it heard last.
      try eventually("node2 refuses writes") {
        let refused = try two.request("POST", "/key", body: Client.json("a", "b"))
        return refused.status == 503 && refused.error == "removed" && refused["Retry-After"] != nil
      }
      // It campaigns no more: the others' term stands.
      let term = try one.status().term
      try #require(try two.status().term <= term)
      for node in [one, two, three, four] { try #require(try node.stop() == 0) }
    }
  }
}

struct RedirectBody: Decodable {
  var error: String
  var leader: NodeStatus.Leader
}

struct JoinBody: Decodable {
  var id: String
  var addr: String
  var haddr: String
  var role: String
}
