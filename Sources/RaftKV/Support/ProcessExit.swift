import Glibc

package enum ProcessExit {
  /// Ends at once: without waiting for the disk's threads, and without running what a library left
  /// to be done at exit, which they might still be using.
  package static func now(_ code: Int32) -> Never { _exit(code) }
}
