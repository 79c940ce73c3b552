import RaftKV
import Testing

@Suite("Stream")
struct StreamTests {
  @Test("what is written arrives, in order, and comes back")
  func echo() throws {
    var answer = ""
    try withConnection { server in
      server.didRead = {
        $0.write($0.received)
        $0.received.removeAll()
      }
    } client: { client in
      #expect(client.stream.remoteAddress.hasPrefix("127.0.0.1:"))
      client.write("hello, ")
      client.write("world")
      client.didRead = {
        guard $0.received.count == 12 else { return }
        answer = $0.text
        $0.stream.close()
      }
    }
    #expect(answer == "hello, world")
  }

  @Test("megabytes both ways, under back-pressure at both ends")
  func backPressure() throws {
    // More than the kernel's buffers hold, so that it builds up at both ends.
    let payload = randomBytes(count: 16 << 20)
    var pauses = 0
    var drains = 0
    var echoed: [UInt8] = []
    weak var theClient: Peer?
    try withConnection { server in
      server.didRead = {
        $0.write($0.received)
        $0.received.removeAll(keepingCapacity: true)
        guard $0.stream.unsentBytes > 256 << 10 else { return }
        pauses += 1
        $0.stream.pauseReading()
        // Only now does the client begin to read.
        theClient?.stream.resumeReading()
      }
      server.didDrain = {
        #expect($0.stream.unsentBytes == 0)
        drains += 1
        $0.stream.resumeReading()
      }
      server.didEnd = { $0.stream.shutdownWrite() }
    } client: { client in
      theClient = client
      client.stream.pauseReading()
      client.write(payload)
      #expect(client.stream.unsentBytes > 0)
      client.stream.shutdownWrite()
      client.didEnd = { echoed = $0.received }
    }
    #expect(pauses > 0)
    #expect(drains >= pauses)
    #expect(echoed == payload)
  }

  @Test("writes made while one is under way keep their order")
  func gather() throws {
    let payload = randomBytes(count: 12 << 20)
    var received: [UInt8] = []
    try withConnection { server in
      server.didEnd = {
        received = $0.received
        $0.stream.close()
      }
    } client: { client in
      var start = 0
      var length = 1
      while start < payload.count {
        let end = min(start + length, payload.count)
        client.write(Array(payload[start..<end]))
        start = end
        length = length * 3 % 700_001
      }
      client.didDrain = { $0.stream.close() }
    }
    #expect(received == payload)
  }

  @Test("half-closed: the end arrives, the other half still carries an answer")
  func halfClose() throws {
    var question = ""
    var answer = ""
    try withConnection { server in
      server.didEnd = {
        question = $0.text
        $0.write("answer")
        $0.stream.shutdownWrite()
      }
    } client: { client in
      client.write("question")
      client.stream.shutdownWrite()
      client.stream.shutdownWrite()
      client.didEnd = { answer = $0.text }
    }
    #expect(question == "question")
    #expect(answer == "answer")
  }

  @Test("closing inside didRead ends all calls but didClose, which comes once and without an error")
  func closeInsideRead() throws {
    var reads = 0
    var closes: [LoopError?] = []
    try withConnection { server in
      server.didRead = {
        reads += 1
        $0.stream.close()
        $0.stream.close()
        $0.write("into the void")
        $0.stream.resumeReading()
        $0.stream.shutdownWrite()
        #expect($0.stream.unsentBytes == 0)
      }
      server.didEnd = { _ in Issue.record("ended after close") }
      let closed = server.didClose
      server.didClose = {
        $0.stream.close()
        closes = $0.closes
        closed($0)
      }
    } client: { client in
      // More than one read's worth.
      client.write([UInt8](repeating: 1, count: 1 << 20))
    }
    #expect(reads == 1)
    #expect(closes == [nil])
  }

  @Test("closing inside didDrain and inside didEnd")
  func closeInsideOthers() throws {
    var drains = 0
    try withConnection { server in
      server.didEnd = { $0.stream.close() }
    } client: { client in
      client.write([UInt8](repeating: 1, count: 12 << 20))
      client.didDrain = {
        drains += 1
        $0.stream.close()
      }
    }
    #expect(drains == 1)
  }

  @Test("closing with a write under way drops the rest")
  func closeWhileWriting() throws {
    var drains = 0
    try withConnection { server in
      server.stream.pauseReading()
      server.stream.close()
    } client: { client in
      client.write([UInt8](repeating: 1, count: 12 << 20))
      client.didDrain = { _ in drains += 1 }
      client.stream.close()
    }
    #expect(drains == 0)
  }

  @Test("writing to a peer that is gone closes the stream with an error, and raises no signal")
  func brokenPipe() throws {
    var reason: LoopError?
    try withConnection { server in
      server.stream.close()
    } client: { client in
      // Not reading, the client can learn of it by writing alone.
      client.stream.pauseReading()
      let loop = client.stream.loop
      loop.endOfTurn = { [weak client] in
        client?.write("still there?")
        loop.requestAnotherTurn()
      }
      let closed = client.didClose
      client.didClose = {
        reason = $0.closes[0]
        closed($0)
      }
    }
    #expect(["EPIPE", "ECONNRESET"].contains(reason?.name))
  }

  @Test("a paused stream reads nothing; resumed, it gets what was sent meanwhile")
  func pause() throws {
    var early = 0
    var text = ""
    try withConnection { server in
      server.stream.pauseReading()
      let timer = Timer(server.stream.loop)
      timer.didFire = {
        early = server.received.count
        server.stream.resumeReading()
        server.stream.resumeReading()
        timer.close()
      }
      timer.arm(at: server.stream.loop.now + .milliseconds(20))
      server.didEnd = {
        text = $0.text
        $0.stream.close()
      }
    } client: { client in
      client.write("patience")
      client.stream.close()
    }
    #expect(early == 0)
    #expect(text == "patience")
  }

  private func randomBytes(count: Int) -> [UInt8] {
    var random = Random(seed: 1)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }
}
