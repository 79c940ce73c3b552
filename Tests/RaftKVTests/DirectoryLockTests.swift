import Glibc
import Testing

@testable import RaftKV

@Suite("DirectoryLock")
struct DirectoryLockTests {
  private func withDirectory(_ body: (Int32, String) throws -> Void) throws {
    try withTemporaryDirectory { path in
      let descriptor = open(path, O_RDONLY | O_DIRECTORY)
      defer { close(descriptor) }
      try #require(descriptor >= 0)
      try body(descriptor, path)
    }
  }

  private func write(_ text: String, to path: String) {
    let file = fopen(path, "w")
    fputs(text, file)
    fclose(file)
  }

  private func contents(of path: String) -> String {
    guard let file = fopen(path, "r") else { return "none" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  @Test("it is refused while it is held; whose it is is told as far as it can be read")
  func held() throws {
    try withDirectory { directory, path in
      let lock = try DirectoryLock(directory, path)
      for (text, owner) in [
        ("123\n", 123), ("77", 77), ("12\n34", 12), ("", nil), ("none\n", nil),
        ("99999999999999999999\n", nil),
      ] as [(String, Int?)] {
        write(text, to: "\(path)/lock")
        let held = DirectoryLockError.held(directory: path, by: owner)
        #expect(throws: held) { try DirectoryLock(directory, path) }
        #expect(contents(of: "\(path)/lock") == text, "whoever is refused writes nothing")
      }
      withExtendedLifetime(lock) {}
    }
  }

  @Test("an owner before us leaves its file; ours is the only number in it then")
  func taken() throws {
    try withDirectory { directory, path in
      write("123456789012345\n", to: "\(path)/lock")
      for _ in 0..<2 {
        let lock = try DirectoryLock(directory, path)
        #expect(contents(of: "\(path)/lock") == "\(getpid())\n")
        withExtendedLifetime(lock) {}
      }
      #expect(contents(of: "\(path)/lock") == "\(getpid())\n", "it stays when the lock goes")
    }
  }

  @Test("a lock that cannot be opened is the disk's error, not somebody's lock")
  func failure() throws {
    try withDirectory { directory, path in
      mkdir("\(path)/lock", 0o700)
      let failed = DirectoryLockError.failed(
        DiskError(operation: "open \(path)/lock", code: EISDIR))
      #expect(throws: failed) { try DirectoryLock(directory, path) }
    }
  }
}
