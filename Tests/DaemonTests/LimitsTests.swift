import Glibc
import Testing

extension DaemonTests {
  /// What a node does when there is too much of something.
  @Suite("Limits")
  struct LimitsTests {
    @Test("connections beyond what the process may have open get 503, the others are served")
    func connections() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("node1")
        // 256 are set aside for files and peers.
        node.descriptors = 256 + 40
        try sandbox.start([node])
        var held: [Connection] = []
        var refused = 0
        for _ in 0..<60 {
          let connection = try Connection(to: node.httpAddress)
          try connection.send("GET /key?key=a&level=stale HTTP/1.1\r\nHost: x\r\n\r\n")
          let answer = try connection.response()
          if answer.status == 503 {
            try #require(answer.error == "too_many_connections" && answer["Retry-After"] != nil)
            try #require(try connection.receiveAll().isEmpty, "and is closed")
            refused += 1
          } else {
            try #require(answer.status == 404)
            held.append(connection)
          }
        }
        try #require(held.count == 40 && refused == 20, "\(held.count) held, \(refused) refused")
        // Whoever was let in is served as before, and who goes makes room.
        for connection in held {
          try connection.send("GET /key?key=a&level=stale HTTP/1.1\r\nHost: x\r\n\r\n")
          try #require(try connection.response().status == 404)
        }
        held.removeLast(10)
        try eventually("there is room again") { try node.put("a", "1").status == 200 }
      }
    }

    @Test("thousands of idle connections cost little and hinder nobody")
    func idle() throws {
      var limit = rlimit()
      let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
      getrlimit(resource, &limit)
      limit.rlim_cur = limit.rlim_max
      setrlimit(resource, &limit)
      let count = min(10_000, Int(limit.rlim_cur) - 1000)
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        let before = node.residentBytes
        var idle: [Connection] = []
        for _ in 0..<count { idle.append(try Connection(to: node.httpAddress)) }
        try #require(try node.put("a", "1").status == 200)
        try #require(try node.value("a", level: "consistent") == "1")
        // Each of them is a whole connection.
        for connection in idle.shuffled().prefix(50) {
          try connection.send("GET /key?key=a HTTP/1.1\r\nHost: x\r\n\r\n")
          try #require(try connection.response().text == "1")
        }
        let cost = (node.residentBytes - before) / count
        try #require(cost < 16 << 10, "\(cost) bytes for each of \(count)")
        idle.removeAll()
        try #require(try node.put("a", "2").status == 200)
        try #require(try node.status().role == "leader")
      }
    }

    @Test("who dawdles with a request gets 408, who does not say how long a value is gets 411")
    func requests() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        let head = try Connection(to: node.httpAddress)
        try head.send("GET /key?key=a HTTP/1.1\r\nHo")
        let body = try Connection(to: node.httpAddress)
        try body.send("PUT /key?key=a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n12")
        for method in ["PUT", "POST"] {
          let answer = try node.request(method, "/key?key=a")
          try #require(answer.status == 411 && answer.error == "length_required")
        }
        try #require(try node.request("PUT", "/key?key=a", body: []).status == 200)
        for dawdling in [head, body] {
          let answer = try dawdling.response()
          try #require(answer.status == 408 && answer.error == "request_timeout")
          try #require(try dawdling.receiveAll().isEmpty)
        }
      }
    }

    @Test("joins and removes queue up to sixteen; one more gets 429")
    func changes() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        // Somebody who accepts and says nothing holds the first of them up for three seconds.
        let silent = try SilentListener()
        var waiting: [Connection] = []
        for number in 0..<40 {
          let connection = try Connection(to: node.httpAddress)
          try connection.send(
            "GET /join?id=n\(number)&addr=\(silent.address) HTTP/1.1\r\nHost: x\r\n\r\n")
          if number == 0 { try silent.awaitConnection() }
          waiting.append(connection)
        }
        // A stop does not wait for those in the queue, and tells them.
        try eventually("a request too many is answered") { waiting.contains { $0.hasReceived } }
        try #require(try node.stop() == 0)
        var refused = 0
        for connection in waiting {
          let answer = try connection.response()
          guard answer.status == 429 else {
            try #require([503, 504].contains(answer.status), "\(answer.text)")
            continue
          }
          try #require(answer.error == "too_many_changes" && answer["Retry-After"] != nil)
          refused += 1
        }
        // On a machine that stood still some of the first had given up by then.
        try #require((1...23).contains(refused), "\(refused) of 40")
      }
    }
  }
}

extension Node {
  /// Memory of the process that is in use.
  var residentBytes: Int {
    guard let process else { return 0 }
    let fields = Program.contents(of: "/proc/\(process)/statm").split(separator: " ")
    return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
}
