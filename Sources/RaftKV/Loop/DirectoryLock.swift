import Glibc

package enum DirectoryLockError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another process works in this directory; its id if it wrote one down.
  case held(directory: String, by: Int?)
  case failed(DiskError)

  package var description: String {
    switch self {
    case .held(let directory, let process?):
      "the data directory \(directory) is in use by process \(process)"
    case .held(let directory, nil): "the data directory \(directory) is in use by another process"
    case .failed(let error): error.description
    }
  }
}

/// An exclusive flock(2) on the file `lock` of a directory, for as long as this object lives. The
/// kernel lets go of it when the process ends, however it ends; the file stays, as removing it
/// would race with the next owner. It holds the owner's process id in digits, for people.
final class DirectoryLock {
  static let fileName = "lock"

  private let descriptor: Int32

  init(_ directory: Int32, _ path: String) throws(DirectoryLockError) {
    do {
      descriptor = try Self.openFile(directory, path)
    } catch {
      throw .failed(error)
    }
    // From here on `deinit` runs, and closes, also when we throw.
    do {
      _ = try UVDisk.attempt("lock \(path)") { Int(flock(descriptor, LOCK_EX | LOCK_NB)) }
    } catch {
      guard error.code == EWOULDBLOCK else { throw .failed(error) }
      throw .held(directory: path, by: Self.readOwner(descriptor))
    }
    Self.writeOwner(descriptor)
  }

  deinit { close(descriptor) }

  private static func openFile(_ directory: Int32, _ path: String) throws(DiskError) -> Int32 {
    Int32(
      try UVDisk.attempt("open \(path)/\(fileName)") {
        Int(openat(directory, fileName, O_RDWR | O_CREAT | O_CLOEXEC, mode_t(OpenMode.permissions)))
      })
  }

  private static func readOwner(_ descriptor: Int32) -> Int? {
    var digits = [UInt8](repeating: 0, count: 20)
    let count = pread(descriptor, &digits, digits.count, 0)
    guard count > 0 else { return nil }
    return Int(
      String(decoding: digits[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
  }

  /// Failing to write it down harms nobody: the lock is what counts.
  private static func writeOwner(_ descriptor: Int32) {
    let line = Array("\(getpid())\n".utf8)
    _ = ftruncate(descriptor, 0)
    _ = pwrite(descriptor, line, line.count, 0)
  }
}
