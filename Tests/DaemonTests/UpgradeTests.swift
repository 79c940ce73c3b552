import Foundation
import RaftKV
import Testing

extension DaemonTests {
  /// Data of older versions is read, data of newer ones is refused.
  @Suite("Upgrade and downgrade")
  struct UpgradeTests {
    private static let folder = URL(filePath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().appending(path: "UpgradeData").path

    /// `scripts/make-upgrade-data` made one per version, and says what is in them.
    private static let versions = Files.list(folder).filter { $0.hasSuffix(".tar.gz") }
      .map { String($0.dropLast(".tar.gz".count)) }

    private func unpack(_ version: String, to directory: String) throws {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      let tar = Process()
      tar.executableURL = URL(fileURLWithPath: "/bin/tar")
      tar.arguments = ["-xzf", "\(Self.folder)/\(version).tar.gz", "-C", directory]
      try tar.run()
      tar.waitUntilExit()
      try #require(tar.terminationStatus == 0)
    }

    @Test("a data directory of every version so far is read, and goes on", arguments: versions)
    func upgrade(_ version: String) throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("node1")
        try unpack(version, to: node.directory)
        let hash = Program.contents(of: "\(Self.folder)/\(version).statehash").dropLast()
        for round in 1...2 {
          try node.start()
          let status = try node.awaitStatus("leads, and has applied all") {
            $0.role == "leader" && $0.appliedIndex == $0.lastIndex && $0.appliedIndex > 37
          }
          if round == 1 { try #require(status.stateHash == hash, "\(version)") }
          for number in 0..<30 {
            let expected = number % 5 == 0 ? nil : "value \(number)"
            try #require(try node.value("key\(number)") == expected, "\(version): key\(number)")
          }
          try #require(try node.value("long") == String(repeating: "x", count: 300))
          try node.put("since", "round \(round)")
          try #require(try node.stop() == 0)
        }
        try #require(!node.log.contains("level=error"), "\(node.log)")
      }
    }

    @Test("the first version is among them")
    func first() { #expect(Self.versions.contains("0.1.0")) }

    @Test(
      "a file of a newer format is refused with a sentence and code 72, and left as it is",
      arguments: ["identity", "hard-state", "log-", "snapshot-"])
    func downgrade(_ prefix: String) throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("node1")
        try unpack("0.1.0", to: node.directory)
        let name = try #require(Files.list(node.directory).first { $0.hasPrefix(prefix) })
        let path = "\(node.directory)/\(name)"
        var bytes = Program.bytes(of: path)
        if prefix == "snapshot-" {
          // Version and checksum of the header section, as `SnapshotFormat` has them.
          bytes[20] += 1
          let length = 12 + Int(bytes[4]) + Int(bytes[5]) << 8
          let head = checksum(bytes[0..<8], continuing: 0)
          store(checksum(bytes[12..<length], continuing: head), at: 8, in: &bytes)
        } else {
          for offset in prefix == "hard-state" ? [0, 65_536] : [0] {
            bytes[offset + 12] += 1
            let sum = checksum(bytes[(offset + 12)..<(offset + 512)], continuing: 0)
            store(sum, at: offset + 8, in: &bytes)
          }
        }
        try Files.write(bytes, to: path)
        let end = try sandbox.run(node.flags)
        try #require(end.code == 72, "\(name): \(end.code) \(end.words)")
        try #require(end.words.lastLine.contains("has format version 2"), "\(end.words)")
        try #require(
          end.words.lastLine.contains("start a raftkvd at least as new as the one that wrote it"))
        try #require(Program.bytes(of: path) == bytes, "\(name) is as it was")
      }
    }

    private func checksum(_ bytes: ArraySlice<UInt8>, continuing previous: UInt32) -> UInt32 {
      bytes.withUnsafeBytes { CRC32C.checksum($0, continuing: previous) }
    }

    private func store(_ value: UInt32, at offset: Int, in bytes: inout [UInt8]) {
      for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }
  }
}
