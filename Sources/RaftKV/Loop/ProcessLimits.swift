import Glibc

/// What the system allows this process.
package enum ProcessLimits {
  /// glibc spells it as an enumeration where it is defined and as an integer where it is taken.
  private static let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)

  /// Raises the soft limit of open files to the hard one, which is there for the taking;
  /// the soft one is 1024 by default only for the sake of programs that use select(2).
  /// Returns the limit in force.
  @discardableResult
  package static func raiseOpenFiles() -> Int {
    var limit = rlimit()
    guard getrlimit(openFiles, &limit) == 0 else { return 0 }
    if limit.rlim_cur < limit.rlim_max {
      var raised = limit
      raised.rlim_cur = limit.rlim_max
      if setrlimit(openFiles, &raised) == 0 { limit = raised }
    }
    return Int(clamping: limit.rlim_cur)
  }
}
