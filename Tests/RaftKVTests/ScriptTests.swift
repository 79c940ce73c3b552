import Glibc
import RaftKV
import Testing

/// The stories in `Scripts/`; see `ScriptRunner` for their language.
@Suite("Scripts")
struct ScriptTests {
  private static let folder: String = {
    let file = "\(#filePath)"
    return file.prefix(file.utf8.count - "ScriptTests.swift".utf8.count) + "Scripts/"
  }()

  static let names: [String] = {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasSuffix(".txt") { names.append(name) }
    }
    return names.sorted()
  }()

  @Test("there are scripts to run")
  func scriptsExist() { #expect(Self.names.count >= 20) }

  @Test("a story leaves exactly its trace", arguments: names)
  func story(_ name: String) throws {
    let script = try #require(Self.read(Self.folder + name))
    let replay = ScriptRunner.replay(script)
    #expect(replay.failures.isEmpty)
    if getenv("RAFT_SCRIPTS").map({ String(cString: $0) }) == "rewrite" {
      Self.write(replay.text, to: Self.folder + name)
      return
    }
    let expected = script.split(separator: "\n", omittingEmptySubsequences: false)
    let actual = replay.text.split(separator: "\n", omittingEmptySubsequences: false)
    let line = zip(expected, actual).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    let first = line ?? min(expected.count, actual.count)
    #expect(
      script == replay.text,
      """
      \(name):\(first + 1) expected \(first < expected.count ? expected[first] : "the end"), \
      got \(first < actual.count ? actual[first] : "the end")
      """)
  }

  private static func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      if count == 0 { break }
      bytes.append(contentsOf: chunk[..<count])
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func write(_ text: String, to path: String) {
    guard let file = fopen(path, "w") else { return }
    defer { fclose(file) }
    let bytes = Array(text.utf8)
    fwrite(bytes, 1, bytes.count, file)
  }
}
