import Foundation
import Glibc
import Synchronization

/// SIGINT and SIGTERM end the run in order: no process, mount or port of ours outlives it.
enum Interruption {
  private static let flag = Mutex(false)

  static var isRequested: Bool { flag.withLock { $0 } }

  /// Before any other thread starts: all inherit the mask.
  static func watch() {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let watched = signals
    Thread.detachNewThread {
      var signals = watched
      var signal: Int32 = 0
      while sigwait(&signals, &signal) != 0 {}
      flag.withLock { $0 = true }
    }
  }
}
