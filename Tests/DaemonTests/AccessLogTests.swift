import Foundation
import Testing

extension DaemonTests {
  /// Log lines of requests, and the ids they carry.
  @Suite("Requests in the log")
  struct AccessLogTests {
    @Test("a request id comes back if it can, on every kind of answer")
    func requestID() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        func id(_ value: String, _ method: String = "GET", _ target: String = "/status") throws
          -> String?
        {
          let body: [UInt8]? = method == "PUT" ? [1] : nil
          return try node.request(
            method, target, body: body, fields: "X-Request-ID: \(value)\r\n")["X-Request-Id"]
        }
        let uuid = "018f3a5e-7c1a-7b52-9d6e-3f0a2b1c4d5e"
        for (method, target) in [
          ("GET", "/status"), ("PUT", "/key?key=a"), ("GET", "/key?key=a&level=consistent"),
          ("GET", "/nowhere"), ("POST", "/status"), ("GET", "/metrics"), ("HEAD", "/key?key=a"),
        ] {
          try #require(try id(uuid, method, target) == uuid, "\(method) \(target)")
        }
        let longest = String(repeating: "x", count: 128)
        try #require(try id(longest) == longest)
        for value in [longest + "x", "a b", "a;b", "\"a\"", ""] {
          try #require(try id(value) == nil, "\(value)")
        }
        try #require(try node.get("/status")["X-Request-Id"] == nil)

        // Answers that come later keep their own.
        let connection = try Connection(to: node.httpAddress)
        try connection.send(
          (1...3).map {
            "PUT /key?key=\($0) HTTP/1.1\r\nHost: h\r\nX-Request-Id: id\($0)\r\n"
              + "Content-Length: 1\r\n\r\nx"
          }.joined())
        for number in 1...3 {
          try #require(try connection.response()["X-Request-Id"] == "id\(number)")
        }
      }
    }

    @Test("an access log says what was asked and never a value", arguments: ["logfmt", "json"])
    func accessLog(_ format: String) throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("node1")
        try node.start("-bootstrap", "-access-log", "-log-level", "debug", "-log-format", format)
        try node.awaitStatus("leads") { $0.role == "leader" }
        let secret = "hunter2"
        try node.put("a", secret)
        try #require(try node.value("a") == secret)
        let posted = try node.request(
          "POST", "/key", body: Client.json("b", secret), fields: "X-Request-Id: r-1\r\n")
        try #require(posted.status == 200)
        _ = try node.request("HEAD", "/nowhere%20")
        try #require(try node.stop() == 0)
        try #require(!node.log.contains(secret))
        let lines = node.log.split(separator: "\n").filter { $0.contains("access") }
        func line(_ target: String, _ method: String) throws -> Substring {
          try #require(
            lines.first { $0.contains(target) && $0.contains(method) }, "\(target): \(lines)")
        }
        if format == "json" {
          let object = try #require(
            JSONSerialization.jsonObject(with: Data(try line("/key", "POST").utf8))
              as? [String: Any])
          try #require(object["status"] as? Int == 200 && object["request_id"] as? String == "r-1")
          try #require(object["duration_us"] as? Int ?? 0 > 0 && object["bytes"] as? Int ?? 0 > 20)
          try #require(
            object["target"] as? String == "/key" && object["area"] as? String == "access")
        } else {
          let put = try line("/key?key=a", "method=PUT")
          try #require(put.contains(#" target="/key?key=a" status=200 bytes="#), "\(put)")
          try #require(!put.contains("request_id"))
          try #require(try line("/key ", "method=POST").hasSuffix(" request_id=r-1"))
          try #require(try line("/nowhere%20", "method=HEAD").contains(" status=404 "))
        }
      }
    }

    @Test("without the flag no request is logged; last words are JSON where the log is")
    func off() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.cluster(of: 1)[0]
        try node.put("quiet", "1")
        try #require(!node.log.contains("quiet"))
        let end = try sandbox.run([
          "-log-format", "json", "-raddr", node.raftAddress, "-haddr", "127.0.0.1:1", "-data", "d",
        ])
        try #require(end.code == 69)
        let words = try #require(
          JSONSerialization.jsonObject(with: Data(end.words.lastLine.utf8)) as? [String: Any])
        try #require(words["level"] as? String == "error" && words["exit_code"] as? Int == 69)
      }
    }
  }
}
