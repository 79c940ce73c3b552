import Glibc
import RaftKV
import Testing

@Suite("Signals")
struct SignalsTests {
  @Test("a signal is an event on the loop")
  func delivered() throws {
    var count = 0
    try withEventLoop { loop in
      let watcher = try SignalWatcher(loop, SIGUSR2) {
        count += 1
        loop.stop()
      }
      kill(getpid(), SIGUSR2)
      #expect(count == 0)
      _ = watcher
    }
    #expect(count == 1)
  }

  @Test("SIGINT and SIGTERM can be watched, and let go of")
  func stop() throws {
    let loop = try EventLoop()
    let watchers = try Signals.watchForStop(loop) {}
    #expect(watchers.count == 2)
    for watcher in watchers { watcher.close() }
    loop.close()
  }

  @Test("a signal that cannot be watched is an error")
  func unwatchable() throws {
    let loop = try EventLoop()
    #expect(throws: LoopError.self) { try SignalWatcher(loop, SIGKILL) {} }
    loop.close()
  }

  @Test("a broken pipe does not end the process")
  func brokenPipe() throws {
    let loop = try EventLoop()
    kill(getpid(), SIGPIPE)
    loop.close()
  }

  @Test("the limit of open files is raised to what the system allows, and stays there")
  func openFiles() {
    let limit = ProcessLimits.raiseOpenFiles()
    #expect(limit > 0)
    #expect(ProcessLimits.raiseOpenFiles() == limit)
  }
}
