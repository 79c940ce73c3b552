import Glibc

/// The raftkvd binary under test, and processes of it.
enum Program {
  /// Without optimisation, with every check. SwiftPM builds it beside the test bundle, which is
  /// this process.
  static let path = beside("raftkvd")

  /// The one that is shipped, where `RELEASE_BINARY` names it: one that happens to lie about may
  /// be of yesterday.
  static let releasePath = getenv("RELEASE_BINARY").map { String(cString: $0) }

  /// Another program of this package.
  static func beside(_ name: String) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let bundle = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return bundle[...bundle.lastIndex(of: "/")!] + name
  }

  /// Starts a binary with its standard error appended to the file at `log`, and at most
  /// `descriptors` open files.
  static func spawn(
    _ arguments: [String], log: String, in directory: String, environment: [String: String] = [:],
    program: String = path, descriptors: Int? = nil
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 2, 1)
    // env(1) changes the directory and becomes the binary, and so does the shell: the process id
    // stays.
    let variables = environment.map { "\($0.key)=\($0.value)" }
    var command = ["/usr/bin/env", "-C", directory] + variables + [program] + arguments
    if let descriptors {
      command = ["/bin/sh", "-c", "ulimit -n \(descriptors) && exec \"$0\" \"$@\""] + command
    }
    var texts: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for text in texts { free(text) } }
    var process: pid_t = 0
    let status = posix_spawn(&process, command[0], &actions, nil, &texts, environ)
    guard status == 0 else { throw ClientError.system("posix_spawn of \(program)", status) }
    return process
  }

  /// The exit code, or 128 and the signal's number.
  static func wait(for process: pid_t, within seconds: Double = 60) throws -> Int32 {
    var status: Int32 = 0
    try eventually("process \(process) ends", within: seconds) {
      waitpid(process, &status, WNOHANG) == process
    }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
  }

  static func isRunning(_ process: pid_t) -> Bool {
    var status = siginfo_t()
    let found = waitid(P_PID, id_t(process), &status, WEXITED | WNOHANG | WNOWAIT)
    return found == 0 && status.si_signo == 0
  }

  static func contents(of path: String) -> String {
    String(decoding: bytes(of: path), as: UTF8.self)
  }

  static func bytes(of path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
      bytes += chunk[..<count]
    }
    return bytes
  }
}
