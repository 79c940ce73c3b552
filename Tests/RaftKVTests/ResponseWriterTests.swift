import Testing

@testable import RaftKV

@Suite("ResponseWriter")
struct ResponseWriterTests {
  private func write(
    _ reply: Reply, isHead: Bool = false,
    _ persistence: ResponseWriter.Context.Persistence = .implied, target: String = "/key?key=a"
  ) -> String {
    var writer = ResponseWriter()
    var output = ByteBuffer()
    Array(target.utf8).withUnsafeBytes {
      writer.write(
        reply, .init(isHead: isHead, persistence: persistence), target: $0,
        requestID: .init(start: nil, count: 0), to: &output)
    }
    return String(decoding: output.readable, as: UTF8.self)
  }

  private let valueHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
    + "X-Content-Type-Options: nosniff\r\nX-RaftKV-Index: 12\r\n"

  @Test("a value goes out as stored; HEAD says the same without it")
  func value() {
    let reply = Reply.value(makeEntry("k", "v\r\nw", index: 12), nil)
    #expect(write(reply) == valueHead + "Content-Length: 4\r\n\r\nv\r\nw")
    #expect(write(reply, isHead: true) == valueHead + "Content-Length: 4\r\n\r\n")
  }

  @Test("a stale read says how stale, found or not")
  func stale() {
    let known = Staleness(lastContact: 3, appliedIndex: LogIndex(9))
    let unknown = Staleness(lastContact: nil, appliedIndex: .zero)
    #expect(
      write(.value(makeEntry("k", "", index: 12), known)) == valueHead
        + "X-RaftKV-Last-Contact: 3\r\nX-RaftKV-Applied-Index: 9\r\nContent-Length: 0\r\n\r\n")
    let absent = write(.notFound(unknown))
    #expect(absent.hasPrefix("HTTP/1.1 404 Not Found\r\nX-RaftKV-Last-Contact: never\r\n"))
    #expect(absent.contains("\"error\":\"key_not_found\""))
  }

  @Test("writes, membership and persistence")
  func writes() {
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    #expect(write(.written(LogIndex(.max))) == json + "30\r\n\r\n{\"index\":18446744073709551615}")
    #expect(
      write(.deleted(LogIndex(5), existed: false), .closes) == json
        + "27\r\nConnection: close\r\n\r\n{\"index\":5,\"deleted\":false}")
    #expect(
      write(.removed(name: "n\"1", at: LogIndex(0)), .announced) == json
        + "23\r\nConnection: keep-alive\r\n\r\n{\"id\":\"n\\\"1\",\"index\":0}")
    let member = Configuration.Member(
      id: NodeID(1), name: "n1", memberSince: .zero, raftAddress: "h:1", httpAddress: "h:2",
      role: .voter)
    #expect(
      write(.joined(member)).hasSuffix(
        #"{"id":"n1","addr":"h:1","haddr":"h:2","role":"voter"}"#))
  }

  @Test("a redirect repeats the target, and lets no byte of it end the line")
  func redirect() {
    let text = write(.redirect(leader: "n2", address: "h:2"), target: "/key?key=%20a|\r\nX: y")
    #expect(text.contains("\r\nLocation: http://h:2/key?key=%20a%7C%0D%0AX:%20y\r\n"))
    #expect(text.contains(#""leader":{"id":"n2","haddr":"h:2"}}"#))
    #expect(
      write(.redirect(leader: "n2", address: "h:2"), target: "?a").contains("http://h:2/?a\r\n"))
  }

  @Test("failures carry their code, their sentence, Allow and Retry-After")
  func failures() {
    let busy = Failure(status: 503, code: "no_leader", message: "Try \u{1}.", retryAfter: 1)
    #expect(
      write(.failure(busy))
        == "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
        + "Content-Type: application/json\r\nContent-Length: 45\r\n\r\n"
        + #"{"error":"no_leader","message":"Try \u0001."}"#)
    #expect(
      write(.failure(.methodNotAllowed(.status))).contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"))
    #expect(
      write(.failure(.options(.membership)))
        == "HTTP/1.1 204 No Content\r\nAllow: GET, POST, OPTIONS\r\n\r\n")
  }

  @Test("status has every field, in one order")
  func status() {
    let member = Configuration.Member(
      id: NodeID(1), name: "n1", memberSince: .zero, raftAddress: "h:1", httpAddress: "h:2",
      role: .voter)
    var status = Status(
      version: "1", clusterID: ClusterID(10), name: "n1", role: "leader", term: Term(3),
      leader: ("n1", "h:2"), lastIndex: LogIndex(4), commitIndex: LogIndex(5),
      appliedIndex: LogIndex(6), stateHash: StateHash(high: 1, low: 255), uptime: .seconds(2),
      members: [.init(member: member, matchIndex: LogIndex(4), lastContact: nil)])
    #expect(
      write(.status(status)).hasSuffix(
        #"{"version":"1","clusterId":"000000000000000a","id":"n1","role":"leader","term":3,"#
          + #""leader":{"id":"n1","haddr":"h:2"},"lastIndex":4,"commitIndex":5,"appliedIndex":6,"#
          + #""stateHash":"000000000000000100000000000000ff","uptimeMs":2000,"members":["#
          + #"{"id":"n1","addr":"h:1","haddr":"h:2","role":"voter","matchIndex":4,"#
          + #""lastContactMs":null}]}"#))
    status.leader = nil
    status.members = []
    #expect(write(.status(status)).contains(#""leader":null,"#))
  }
}
