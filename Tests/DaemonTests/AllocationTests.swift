import Glibc
import Testing

/// What a request costs in memory that is asked for and given back. Counted in the shipped binary,
/// for the optimiser decides much of it: `make allocations` builds it and names it.
@Suite("Allocations", .enabled(if: Program.releasePath != nil))
struct AllocationTests {
  @Test("a read allocates nothing, a write the entry and a share of its batch", arguments: [1, 3])
  func requests(nodes count: Int) throws {
    try Sandbox.run(program: Program.releasePath!) { sandbox in
      let counters = try (1...count).map { try AllocationCounter(in: sandbox.directory, $0) }
      let nodes = try counters.enumerated().map { number, counter in
        let node = try sandbox.node("node\(number + 1)")
        node.environment = counter.environment
        return node
      }
      try sandbox.start(nodes, ["-log-level", "warning"])
      let client = try Connection(to: nodes[0].httpAddress)

      /// Of one request, when so many of them arrive in one turn of the loop.
      func cost(_ request: String, atOnce window: Int) throws -> Double {
        let text = String(repeating: request, count: window)
        func ask(_ total: Int) throws {
          for _ in 0..<total / window {
            try client.send(text)
            for _ in 0..<window {
              let status = try client.response().status
              guard status == 200 else { throw ClientError.malformed("status \(status)") }
            }
          }
        }
        try ask(4_000)
        let before = counters[0].count
        try ask(16_000)
        return Double(counters[0].count - before) / 16_000
      }

      let value = String(repeating: "v", count: 128)
      let body = "{\"key\":\"key:000000000001\",\"value\":\"\(value)\"}"
      let post = "POST /key HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
      let write = try cost(post + body, atOnce: 32)
      print("allocations per request, \(count) up: POST \(write)")
      #expect(write <= 2.05)
      for level in ["default", "stale", "consistent"] {
        let get = "GET /key?key=key:000000000001&level=\(level) HTTP/1.1\r\nHost: x\r\n\r\n"
        let read = try cost(get, atOnce: 1)
        print("allocations per request, \(count) up: GET \(level) \(read)")
        #expect(read < 0.01, "GET \(level)")
      }
    }
  }
}
