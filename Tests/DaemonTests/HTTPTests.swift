import RaftKV
import Testing

extension DaemonTests {
  /// The HTTP interface over real sockets, on one node that leads.
  @Suite("HTTP")
  struct HTTPTests {
    @Test("every request of the table gets its answer")
    func table() throws {
      try withNode { node in
        try values(node)
        try json(node)
        try mistakes(node)
        try status(node)
      }
    }

    private func withNode(_ story: (Node) throws -> Void) throws {
      try Sandbox.run { sandbox in
        try story(sandbox.cluster(of: 1, ["-max-value-size", "64KiB"])[0])
      }
    }

    private func values(_ node: Node) throws {
      let binary = (0...255).map(UInt8.init) + [13, 10, 13, 10]
      let put = try node.request("PUT", "/key?key=%00%ff%2F+%26", body: binary)
      try #require(put.status == 200 && put["Content-Type"] == "application/json")
      for level in ["", "&level=default", "&level=stale", "&level=consistent"] {
        let target = "/key?key=%00%FF/%20%26\(level)"
        let read = try node.get(target)
        try #require(read.status == 200 && read.body == binary)
        try #require(read["X-RaftKV-Index"] == "\(put.index!)")
        try #require(read["Content-Type"] == "text/plain; charset=utf-8")
        try #require(read["X-Content-Type-Options"] == "nosniff")
        let head = try node.request("HEAD", target)
        try #require(head.status == 200 && head["Content-Length"] == "\(binary.count)")
        try #require(head["X-RaftKV-Index"] == "\(put.index!)" && head.body.isEmpty)
        try #require((read["X-RaftKV-Applied-Index"] != nil) == level.hasSuffix("stale"))
        try #require((read["X-RaftKV-Last-Contact"] != nil) == level.hasSuffix("stale"))
      }
      let empty = try node.request("PUT", "/key?key=empty", body: [])
      try #require(empty.status == 200 && empty.index! > put.index!)
      try #require(try node.get("/key?key=empty").status == 200)
      let longest = String(repeating: "%6b", count: 4096)
      try #require(try node.request("PUT", "/key?key=\(longest)", body: [1]).status == 200)
      let big = Array(repeating: UInt8(7), count: 64 << 10)
      try #require(try node.request("PUT", "/key?key=big", body: big).status == 200)
      try #require(try node.get("/key?key=big").body == big)
      let absent = try node.get("/key?key=absent")
      try #require(absent.status == 404 && absent.error == "key_not_found")
      let deleted = try node.request("DELETE", "/key?key=big")
      try #require(try deleted.decode(WriteBody.self).deleted == true && deleted.status == 200)
      let again = try node.request("DELETE", "/key/?key=big")
      try #require(try again.decode(WriteBody.self).deleted == false && again.status == 200)
    }

    private func json(_ node: Node) throws {
      let good = #" { "value" : "\u00e9\ud83d\ude00\n" , "key":"j" } "#
      try #require(try node.request("POST", "/key", body: Array(good.utf8)).status == 200)
      try #require(try node.get("/key?key=j").text == "é😀\n")
      for (body, code) in [
        (#"{"key":"k","value":"v","ttl":"1"}"#, "unknown_member"),
        (#"{"key":"k","value":1}"#, nil), (#"{"key":"k"}"#, nil),
        (#"{"key":"k","value":"v"}x"#, nil),
        (#"{"key":"k","key":"k","value":"v"}"#, nil), (#"{"key":"k","value":"\ud800"}"#, nil),
        ("{'key':'k','value':'v'}", nil), ("", nil), ("[]", nil),
        (#"{"key":"","value":"v"}"#, "bad_key"),
      ] {
        let answer = try node.request("POST", "/key", body: Array(body.utf8))
        try #require(answer.status == 400 && answer.error != nil, "\(body): \(answer.text)")
        if let code { try #require(answer.error == code, "\(body): \(answer.text)") }
      }
      let broken = try node.request("POST", "/key", body: Array(#"{"key": nope}"#.utf8))
      try #require(broken.text.contains("8"), "the offset is told: \(broken.text)")
    }

    private func mistakes(_ node: Node) throws {
      let tooLong = Array(repeating: UInt8(0), count: (64 << 10) + 1)
      let field = "X-Long: " + String(repeating: "x", count: 9000) + "\r\n"
      let target = "/key?key=" + String(repeating: "k", count: 17_000)
      for (method, target, body, fields, status) in [
        ("GET", "/key?key=a&level=eventual", nil, "", 400), ("GET", "/key", nil, "", 400),
        ("GET", "/key?key=", nil, "", 400), ("GET", "/key?key=%zz", nil, "", 400),
        ("GET", "/key?key=a&key=b", nil, "", 400),
        ("GET", "/key?key=" + String(repeating: "k", count: 4097), nil, "", 400),
        ("DELETE", "/key", nil, "", 400), ("PUT", "/key", [1], "", 400),
        ("GET", "/join", nil, "", 400), ("GET", "/join?id=a", nil, "", 400),
        ("GET", "/join?id=a/b&addr=127.0.0.1:1", nil, "", 400),
        ("POST", "/join?id=a&addr=nowhere", nil, "", 400), ("GET", "/remove", nil, "", 400),
        ("GET", "/remove?id=a&force=yes", nil, "", 400),
        ("GET", "/", nil, "", 404), ("GET", "/keys?key=a", nil, "", 404),
        ("GET", "/remove?id=node9", nil, "", 404),
        ("POST", "/remove?id=node1", nil, "", 409),
        ("PUT", "/key?key=a", tooLong, "", 413), ("GET", target, nil, "", 414),
        ("PUT", "/key?key=a", [1], "Expect: a miracle\r\n", 417),
        ("GET", "/status", nil, field, 431), ("BREW", "/key?key=a", nil, "", 501),
        ("PUT", "/key?key=a", nil, "Transfer-Encoding: gzip, chunked\r\n", 501),
      ] as [(String, String, [UInt8]?, String, Int)] {
        let answer = try node.request(method, target, body: body, fields: fields)
        let name = "\(method) \(target.prefix(40)): \(answer.status) \(answer.text)"
        try #require(answer.status == status && answer.error != nil, "\(name)")
      }
      for (target, allowed) in [
        ("/key?key=a", "GET, HEAD, POST, PUT, DELETE, OPTIONS"), ("/status", "GET, HEAD, OPTIONS"),
        ("/join", "GET, POST, OPTIONS"), ("/remove", "GET, POST, OPTIONS"),
      ] {
        let options = try node.request("OPTIONS", target)
        try #require(options.status == 204 && options["Allow"] == allowed)
      }
      for (method, target) in [("DELETE", "/status"), ("PUT", "/join"), ("DELETE", "/remove")] {
        let answer = try node.request(method, target)
        try #require(answer.status == 405 && answer["Allow"] != nil)
      }
      let future = try Connection(to: node.httpAddress)
      try future.send("GET /status HTTP/2.0\r\nHost: x\r\n\r\n")
      try #require(try future.response().status == 505)
      try #require(try node.get("/remove?id=node1").error == "last_voter")
    }

    private func status(_ node: Node) throws {
      let answer = try node.get("/status")
      try #require(answer["Content-Type"] == "application/json")
      let status = try answer.decode(NodeStatus.self)
      try #require(status.role == "leader" && status.id == "node1" && status.term >= 1)
      try #require(status.leader == .init(id: "node1", haddr: node.httpAddress))
      try #require(status.lastIndex >= status.commitIndex)
      try #require(status.commitIndex >= status.appliedIndex && status.appliedIndex > 0)
      try #require(status.clusterId.count == 16 && status.stateHash.count == 32)
      let member = try #require(status.member("node1"))
      try #require(member.addr == node.raftAddress && member.haddr == node.httpAddress)
      try #require(member.role == "voter" && member.matchIndex != nil && member.lastContactMs == 0)
    }

    @Test("connections: pipelines, keep-alive, chunks, 100-continue, HTTP/1.0, half-close")
    func connections() throws {
      try withNode { node in
        let host = "Host: \(node.httpAddress)\r\n"
        let kept = try Connection(to: node.httpAddress)
        // Sixty writes and reads at once: the answers come in the order of the requests, though a
        // read that does not wait for the write before it may see the value from before.
        try node.put("p", "00")
        var requests = ""
        for number in 0..<30 {
          requests += "PUT /key?key=p HTTP/1.1\r\n\(host)Content-Length: 2\r\n\r\n\(10 + number)"
          requests += "GET /key?key=p&level=consistent HTTP/1.1\r\n\(host)\r\n"
        }
        try kept.send(requests)
        var last: UInt64 = 0
        for _ in 0..<30 {
          let index = try #require(try kept.response().index)
          try #require(index > last)
          last = index
          try #require(try kept.response().text.count == 2)
        }
        try #require(try node.value("p") == "39")

        try kept.send("PUT /key?key=c HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n")
        for piece in ["5\r\nhello\r\n", "1;x=y\r\n,\r\n", "6\r\n world\r\n", "0\r\nT: 1\r\n\r\n"] {
          try kept.send(piece)
          Clock.sleep(0.01)
        }
        try #require(try kept.response().status == 200)
        try kept.send("GET /key?key=c HTTP/1.1\r\n\(host)\r\n")
        try #require(try kept.response().text == "hello, world")

        try kept.send(
          "PUT /key?key=e HTTP/1.1\r\n\(host)Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        try #require(try kept.response().status == 100)
        try kept.send("good")
        try #require(try kept.response().status == 200)
        try kept.send("GET /key?key=e HTTP/1.1\r\n\(host)Connection: close\r\n\r\n")
        let closing = try kept.response()
        try #require(closing.text == "good" && closing["Connection"] == "close")
        try #require(try kept.receiveAll().isEmpty)

        let old = try Connection(to: node.httpAddress)
        try old.send("GET /key?key=e HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        try #require(try old.response()["Connection"] == "keep-alive")
        try old.send("GET /key?key=e HTTP/1.0\r\n\r\n")
        try #require(try old.response().text == "good")
        try #require(try old.receiveAll().isEmpty)

        let half = try Connection(to: node.httpAddress)
        try half.send("PUT /key?key=h HTTP/1.1\r\n\(host)Content-Length: 1\r\n\r\n1")
        half.shutdownWrite()
        try #require(try half.response().status == 200)
        try #require(try half.receiveAll().isEmpty)
      }
    }

    @Test("a peer at the HTTP port and a client at the Raft port are turned away")
    func wrongPort() throws {
      try withNode { node in
        let local = LocalIdentity(
          cluster: ClusterID(1), name: "node9", id: NodeID(9), memberSince: LogIndex(1), nonce: 7,
          raftAddress: "127.0.0.1:1", httpAddress: "127.0.0.1:2")
        var session = PeerSession(
          dialling: Hello(from: local, to: .init(name: "node1"), purpose: .messages))
        let hello = Array(session.outbox.nextRun())
        let peer = try Connection(to: node.httpAddress)
        try peer.send(hello)
        let answer = try peer.receiveAll()
        try #require(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 400 "))

        for bytes in [Array("GET /status HTTP/1.1\r\nHost: x\r\n\r\n".utf8), [0, 255, 0, 255]] {
          let client = try Connection(to: node.raftAddress)
          try client.send(bytes + Array(repeating: 0, count: 16))
          try #require(try client.receiveAll().isEmpty)
        }
        // A hello at the right port, but of another cluster: refused with a sentence.
        let stranger = try Connection(to: node.raftAddress)
        try stranger.send(hello)
        let refusal = String(decoding: try stranger.receiveAll(), as: UTF8.self)
        try #require(refusal.contains("not to 0000000000000001"))
        try #require(try node.status().role == "leader")
      }
    }
  }
}
