import Glibc

/// A disk that hangs, as one process meets it: its worker threads, which do the disk's work, stand
/// still, and its loop goes on. They are stopped as a debugger stops threads.
///
/// All of it must happen on the thread that made it, as ptrace(2) wants.
final class HungDisk {
  private var threads: [pid_t] = []

  private static let seize = 0x4206
  private static let interrupt = 0x4207
  private static let detach = 17
  private static let waitForThreads: Int32 = 0x4000_0000  // __WALL

  private typealias Trace =
    @convention(c) (Int, pid_t, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Int
  /// ptrace is declared with a variable number of arguments, which Swift does not call.
  private static var trace: Trace? {
    dlsym(nil, "ptrace").map { unsafeBitCast($0, to: Trace.self) }
  }

  /// Whether a process may trace its children here; tried on one.
  static let isPermitted: Bool = {
    guard let process = try? Program.spawn(["60"], log: "/dev/null", in: "/", program: "sleep")
    else { return false }
    defer {
      kill(process, SIGKILL)
      _ = try? Program.wait(for: process)
    }
    guard let trace, trace(seize, process, nil, nil) == 0 else { return false }
    return true
  }()

  init(of process: pid_t) throws {
    for name in Files.list("/proc/\(process)/task") {
      guard let thread = pid_t(name), thread != process else { continue }
      try stop(thread)
    }
    guard !threads.isEmpty else { throw ClientError.malformed("a process without worker threads") }
  }

  private func stop(_ thread: pid_t) throws {
    guard let trace = Self.trace, trace(Self.seize, thread, nil, nil) == 0 else {
      throw ClientError.system("ptrace", errno)
    }
    threads.append(thread)
    _ = trace(Self.interrupt, thread, nil, nil)
    try eventually("thread \(thread) stands still") {
      var status: Int32 = 0
      return waitpid(thread, &status, Self.waitForThreads | WNOHANG) == thread
    }
  }

  /// The threads go on. Done twice, or for threads that are gone, it does nothing.
  func end() {
    for thread in threads {
      _ = Self.trace?(Self.detach, thread, nil, nil)
      var status: Int32 = 0
      waitpid(thread, &status, Self.waitForThreads | WNOHANG)
    }
    threads = []
  }

  deinit { end() }
}

extension Node {
  /// Hangs the disk while it has nothing to do. A thread that stops between two of its tasks may
  /// hold a lock that the loop needs; then that was no hung disk, and it is tried again.
  func hangDisk() throws -> HungDisk {
    try awaitPreparation()
    var hung: HungDisk?
    try eventually("the disk of \(name) hangs, and its loop does not") {
      let attempt = try HungDisk(of: process!)
      hung = attempt
      if (try? request("GET", "/status", patience: 2)) != nil { return true }
      attempt.end()
      return false
    }
    return hung!
  }
}
