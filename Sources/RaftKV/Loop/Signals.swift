import CLibUV
import Glibc

/// Watches one signal; it is delivered on the loop like any other event.
package final class SignalWatcher: Handle {
  package var didReceive: () -> Void

  private let signal: UnsafeMutablePointer<uv_signal_t>

  package init(
    _ loop: EventLoop, _ number: Int32, didReceive: @escaping () -> Void
  ) throws(LoopError) {
    signal = .allocate(capacity: 1)
    self.didReceive = didReceive
    super.init(loop: loop, memory: signal)
    // Fails when there is no descriptor left for the pipe that carries signals to the loop.
    try LoopError.check(uv_signal_init(loop.raw, signal))
    register()
    let status = uv_signal_start(signal, didReceiveSignal, number)
    guard status == 0 else {
      close()
      throw LoopError(code: status)
    }
  }

  fileprivate func received() {
    guard isOpen else { return }
    didReceive()
  }

  override func didCloseHandle() { didReceive = {} }
}

/// The signals a daemon lives with.
package enum Signals {
  /// Calls `stop` for every SIGINT and SIGTERM until the watchers are closed.
  package static func watchForStop(
    _ loop: EventLoop, _ stop: @escaping () -> Void
  ) throws(LoopError) -> [SignalWatcher] {
    unblock(SIGINT, SIGTERM)
    return [
      try SignalWatcher(loop, SIGINT, didReceive: stop),
      try SignalWatcher(loop, SIGTERM, didReceive: stop),
    ]
  }

  /// Calls `reload` for every SIGHUP until the watcher is closed.
  package static func watchForReload(
    _ loop: EventLoop, _ reload: @escaping () -> Void
  ) throws(LoopError) -> SignalWatcher {
    unblock(SIGHUP)
    return try SignalWatcher(loop, SIGHUP, didReceive: reload)
  }

  /// A signal mask is inherited: whoever started us may have kept these from being delivered.
  private static func unblock(_ numbers: Int32...) {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }

  /// A write to a connection that the peer has reset must be an error of that write,
  /// not the end of the process.
  static func ignoreBrokenPipe() { signal(SIGPIPE, SIG_IGN) }
}

private func didReceiveSignal(_ handle: UnsafeMutablePointer<uv_signal_t>?, _ number: Int32) {
  SignalWatcher.owner(handle!.pointee.data).received()
}
