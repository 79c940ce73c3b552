import RaftKV
import Testing

@Suite("Timer")
struct TimerTests {
  @Test("timers fire in the order of their deadlines, none before its own")
  func order() throws {
    var fired: [Int] = []
    try withEventLoop { loop in
      let start = loop.now
      for delay in [30, 10, 20] {
        let timer = Timer(loop)
        let deadline = start + .milliseconds(delay)
        timer.didFire = {
          #expect(loop.now >= deadline)
          fired.append(delay)
          if fired.count == 3 { loop.stop() }
        }
        timer.arm(at: deadline)
      }
    }
    #expect(fired == [10, 20, 30])
  }

  @Test("deadlines finer than a millisecond are not missed and not anticipated")
  func fine() throws {
    try withEventLoop { loop in
      var random = Random(seed: 7)
      let timer = Timer(loop)
      var deadline = loop.now
      var count = 0
      let next = {
        deadline = loop.now + random.interval(from: .zero, to: .milliseconds(2))
        timer.arm(at: deadline)
      }
      timer.didFire = {
        #expect(loop.now >= deadline)
        count += 1
        if count == 100 { loop.stop() } else { next() }
      }
      next()
    }
  }

  @Test("a deadline moved back, forth and back again is the last one given")
  func rearm() throws {
    try withEventLoop { loop in
      let start = loop.now
      let timer = Timer(loop)
      let deadline = start + .milliseconds(20)
      var count = 0
      timer.didFire = {
        #expect(loop.now >= deadline)
        count += 1
      }
      timer.arm(at: start + .milliseconds(5))
      timer.arm(at: start + .seconds(3600))
      timer.arm(at: start + .milliseconds(3))
      timer.arm(at: deadline)
      let last = Timer(loop)
      last.didFire = {
        #expect(count == 1)
        loop.stop()
      }
      last.arm(at: start + .milliseconds(40))
    }
  }

  @Test("a disarmed timer, a closed one and one armed for the distant future do not fire")
  func silent() throws {
    try withEventLoop { loop in
      let now = loop.now
      let timers = (0..<3).map { _ in Timer(loop) }
      for timer in timers {
        timer.didFire = { Issue.record("fired") }
        timer.arm(at: now + .milliseconds(1))
      }
      timers[0].disarm()
      timers[1].close()
      timers[2].arm(at: .distantFuture)
      #expect(!timers[2].isArmed)
      let last = Timer(loop)
      last.didFire = { loop.stop() }
      last.arm(at: now + .milliseconds(10))
    }
  }

  @Test("a timer that arms itself for the past lets the loop go on")
  func past() throws {
    try withEventLoop { loop in
      let timer = Timer(loop)
      var count = 0
      timer.didFire = {
        count += 1
        timer.arm(at: .zero)
      }
      timer.arm(at: .zero)
      loop.endOfTurn = { if count >= 3 { loop.stop() } }
    }
  }

  @Test("closing inside its own callback is allowed")
  func closeInside() throws {
    try withEventLoop { loop in
      let timer = Timer(loop)
      timer.didFire = {
        timer.close()
        timer.arm(at: .zero)
        loop.stop()
      }
      timer.arm(at: .zero)
    }
  }
}
