import Glibc

/// Commands of other programs, run by the shell.
enum Shell {
  /// The exit code, or 128 and the signal's number, and all that was printed. `seconds` bounds the
  /// command.
  static func run(
    _ command: String, within seconds: Int = 300
  ) throws -> (code: Int32, output: String) {
    guard let pipe = popen("exec 2>&1 < /dev/null; timeout -k 10 \(seconds) \(command)", "r") else {
      throw ClientError.system("popen", errno)
    }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&chunk, 1, chunk.count, pipe), count > 0 {
      bytes += chunk[..<count]
    }
    let status = pclose(pipe)
    let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    return (code, String(decoding: bytes, as: UTF8.self))
  }

  /// Whether there is such a program; where there is not, its part of a test says that it was
  /// skipped.
  static func has(_ program: String) throws -> Bool {
    let found = try run("sh -c 'command -v \(program)'").code == 0
    if !found { print("skipped: \(program) is not installed") }
    return found
  }
}

/// The project's own files.
enum Checkout {
  static let root: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    return parts.dropLast(4).joined(separator: "/")
  }()

  static func text(_ path: String) throws -> String {
    let text = Program.contents(of: "\(root)/\(path)")
    guard !text.isEmpty else { throw ClientError.malformed("\(path) is missing or empty") }
    return text
  }
}
