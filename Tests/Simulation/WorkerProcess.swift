import Glibc

/// A child process that is spoken to in lines: jobs into its input, results out of its output. Its
/// error stream is the same pipe, so that what it says before it traps is heard as well.
package final class WorkerProcess {
  /// How a worker ended.
  package enum Ending: Equatable, Sendable {
    case exited(Int32)
    case killed(signal: Int32)

    package var sentence: String {
      switch self {
      case .exited(let code): "exited with code \(code)"
      case .killed(let signal): "killed by signal \(signal) (\(String(cString: strsignal(signal))))"
      }
    }
  }

  package struct SpawnError: Error {
    package var code: Int32
  }

  private let process: pid_t
  /// To be polled for reading.
  package let output: CInt
  private let input: CInt
  private var buffered: [UInt8] = []
  private var hasEnded = false

  package init(_ command: [String]) throws(SpawnError) {
    var toChild: [CInt] = [-1, -1]
    var fromChild: [CInt] = [-1, -1]
    guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else { throw SpawnError(code: errno) }
    // No other child may hold an end open, or its close would not be seen.
    for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 2)
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
    arguments.append(nil)
    defer { for argument in arguments { free(argument) } }
    // A trap is ended by its signal at once: a backtrace would take longer than the seed.
    setenv("SWIFT_BACKTRACE", "enable=no", 1)
    var child: pid_t = 0
    let result = posix_spawnp(&child, command[0], &actions, nil, arguments, environ)
    close(toChild[0])
    close(fromChild[1])
    input = toChild[1]
    output = fromChild[0]
    process = child
    guard result == 0 else {
      close(input)
      close(output)
      hasEnded = true
      throw SpawnError(code: result)
    }
    _ = fcntl(output, F_SETFL, O_NONBLOCK)
  }

  deinit {
    guard !hasEnded else { return }
    kill()
    _ = wait()
  }

  package func send(_ line: String) {
    // A worker that is gone shows itself by the end of its output.
    signal(SIGPIPE, SIG_IGN)
    let bytes = Array((line + "\n").utf8)
    var offset = 0
    while offset < bytes.count {
      let count = bytes[offset...].withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      offset += count
    }
  }

  /// The whole lines that have come; nil once there will be no more.
  package func receive() -> [String]? {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    var isOver = false
    while true {
      let count = read(output, &chunk, chunk.count)
      if count > 0 {
        buffered += chunk[..<count]
        continue
      }
      isOver = count == 0 || (errno != EAGAIN && errno != EINTR)
      break
    }
    guard let end = buffered.lastIndex(of: UInt8(ascii: "\n")) else { return isOver ? nil : [] }
    let lines = buffered[..<end].split(
      separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false
    ).map { String(decoding: $0, as: UTF8.self) }
    buffered.removeFirst(end + 1)
    return lines
  }

  /// Waits until something can be received, or for `milliseconds`.
  package static func poll(_ workers: [WorkerProcess], milliseconds: Int) {
    var descriptors = workers.map { pollfd(fd: $0.output, events: Int16(POLLIN), revents: 0) }
    _ = Glibc.poll(&descriptors, nfds_t(descriptors.count), CInt(milliseconds))
  }

  package func kill() { Glibc.kill(process, SIGKILL) }

  /// Lets go of it, and tells how it ended. A worker whose input ends, ends.
  package func wait() -> Ending {
    precondition(!hasEnded, "a process is waited for once")
    close(input)
    close(output)
    var status: Int32 = 0
    while waitpid(process, &status, 0) == -1, errno == EINTR {}
    hasEnded = true
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
  }
}
