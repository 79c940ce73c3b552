import Testing

@testable import RaftKV

@Suite("Draining connections")
struct DrainingTests {
  private let get = "GET /key?key=a HTTP/1.1\r\nHost: h\r\n\r\n"

  @Test("the next answer on an idle connection is its last")
  func idle() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    connection.receive(get)
    #expect(!connection.takeOutput().contains("Connection: close"))
    connection.scratch.isDraining = true
    #expect(connection.isIdle && connection.closing == .no, "it has its time")
    connection.receive(get)
    #expect(connection.takeOutput().contains("\r\nConnection: close\r\n"))
    #expect(connection.closing == .linger && handler.asked.count == 2)
  }

  @Test("of answers under way the last one says good-bye, and none is left out")
  func underWay() {
    let handler = ScriptedHandler()
    handler.mode = .pending
    let connection = TestConnection(handler)
    connection.receive(get + get)
    connection.scratch.isDraining = true
    #expect(!connection.isIdle)
    connection.reply(.written(LogIndex(1)), to: handler.tokens[1], at: .zero)
    #expect(!connection.hasOutput)
    connection.reply(.written(LogIndex(1)), to: handler.tokens[0], at: .zero)
    let answers = connection.takeOutput().split(separator: "HTTP/1.1 200 OK")
    #expect(answers.count == 2 && !answers[0].contains("close"))
    #expect(answers[1].contains("\r\nConnection: close\r\n") && connection.closing == .linger)
  }

  @Test("a request that is arriving is taken, and answered with the good-bye")
  func arriving() {
    let handler = ScriptedHandler()
    let connection = TestConnection(handler)
    connection.receive("PUT /key?key=a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
    connection.scratch.isDraining = true
    #expect(!connection.isIdle)
    connection.receive("cd")
    #expect(handler.asked == ["put a=abcd"])
    #expect(connection.takeOutput().contains("\r\nConnection: close\r\n"))
  }
}
