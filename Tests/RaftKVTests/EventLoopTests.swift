import RaftKV
import Testing

@Suite("EventLoop")
struct EventLoopTests {
  @Test("a loop that was never run closes")
  func closesUnused() throws {
    let loop = try EventLoop()
    loop.close()
    loop.close()
  }

  @Test("stop before run makes run return; a stopped loop runs again")
  func stopsAndRunsAgain() throws {
    let loop = try EventLoop()
    var turns = 0
    loop.endOfTurn = {
      turns += 1
      loop.stop()
    }
    loop.run()
    loop.run()
    #expect(turns == 2)
    #expect(loop.turn == 2)
    loop.close()
  }

  @Test("a requested turn comes without sleeping, as often as it is requested")
  func anotherTurn() throws {
    try withEventLoop { loop in
      loop.endOfTurn = {
        if loop.turn == 1000 { loop.stop() } else { loop.requestAnotherTurn() }
      }
    }
  }

  @Test("a turn requested by a timer comes after one more poll, whose events it sees")
  func anotherTurnFromTimer() throws {
    try withEventLoop { loop in
      let timer = Timer(loop)
      var requested: UInt64?
      timer.didFire = {
        requested = loop.turn
        loop.requestAnotherTurn()
      }
      timer.arm(at: loop.now)
      loop.endOfTurn = {
        if let requested, loop.turn == requested + 2 { loop.stop() }
      }
    }
  }

  @Test("the end of the turn comes after the callbacks of that turn and before the loop sleeps")
  func endOfTurn() throws {
    try withEventLoop { loop in
      let timer = Timer(loop)
      var pending = 0
      timer.didFire = { pending += 1 }
      timer.arm(at: loop.now)
      loop.endOfTurn = {
        // Nothing else would wake the loop: the second timer is armed here or never.
        if pending == 1 { timer.arm(at: loop.now + .milliseconds(1)) }
        if pending == 2 { loop.stop() }
      }
    }
  }

  @Test("time goes forward, and the wall clock is past 2020")
  func clocks() throws {
    let loop = try EventLoop()
    let before = loop.now
    #expect(loop.now >= before)
    #expect(EventLoop.wallClockMilliseconds() > 1_577_836_800_000)
    loop.close()
  }

  @Test("the longest turn is at least the time a callback took")
  func longestTurn() throws {
    let loop = try EventLoop()
    loop.endOfTurn = {
      let end = loop.now + .milliseconds(3)
      while loop.now < end {}
      loop.stop()
    }
    loop.run()
    // The two clocks differ by their rate at most.
    #expect(loop.longestTurn > .milliseconds(2))
    #expect(loop.longestWork > .zero && loop.longestWork <= loop.longestTurn)
    loop.close()
  }

  @Test("closing a loop closes what is open on it, streams with their owners told")
  func closesWhatIsLeft() throws {
    let loop = try EventLoop()
    let listener = try Listener(loop, at: loopback)
    var closed = 0
    var accepted = 0
    listener.didAccept = {
      accepted += 1
      let peer = Peer($0)
      peer.didClose = { _ in closed += 1 }
      loop.stop()
    }
    let timer = Timer(loop)
    timer.arm(at: loop.now + .seconds(3600))
    _ = Dialer.connect(loop, to: loopback(port: listener.boundPort)) { result in
      guard case .success(let stream) = result else { return }
      let peer = Peer(stream)
      peer.didClose = { _ in closed += 1 }
    }
    while accepted == 0 { loop.run() }
    loop.close()
    #expect(closed >= 1)
    #expect(!listener.isOpen)
    #expect(!timer.isOpen)
  }
}
