import Foundation
import Testing

/// The code keeps its own house: a test that reads the sources.
@Suite("Tidiness")
struct TidyTests {
  struct Source {
    /// From the package's root: `Sources/RaftKV/Raft/Raft.swift`.
    var path: String
    var lines: [Substring]

    var folder: String { path.split(separator: "/").dropLast().last.map(String.init) ?? "" }
    var imports: [String] {
      lines.filter { $0.hasPrefix("import ") }.map { String($0.dropFirst("import ".count)) }
    }
  }

  private static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private static func sources(in folder: String) throws -> [Source] {
    let base = root.appending(path: folder)
    let names = try #require(FileManager.default.subpaths(atPath: base.path)).sorted()
    return try names.filter { $0.hasSuffix(".swift") }.map { name in
      let text = try String(contentsOf: base.appending(path: name), encoding: .utf8)
      return Source(
        path: "\(folder)/\(name)",
        lines: text.split(separator: "\n", omittingEmptySubsequences: false))
    }
  }

  @Test("the layers stay apart: who may import what")
  func layers() throws {
    for source in try Self.sources(in: "Sources/RaftKV") {
      for module in source.imports {
        let isAllowed =
          switch module {
          case "CLibUV": source.folder == "Loop" || source.path.hasSuffix("Support/CRC32C.swift")
          case "Glibc": ["Support", "Storage", "Loop"].contains(source.folder)
          case "DequeModule": source.folder != "Raft"
          default: false
          }
        #expect(isAllowed, "\(source.path) imports \(module)")
      }
    }
  }

  @Test("the algorithm knows nothing of the layers around it")
  func core() throws {
    let foreign = ["LogStore", "Replica<", "Transport", "EventLoop", "ByteBuffer", "KeyValueStore"]
    for source in try Self.sources(in: "Sources/RaftKV/Raft") {
      #expect(source.imports.isEmpty, "\(source.path) imports something")
      for line in source.lines where !line.contains("//") {
        for name in foreign where line.contains(name) {
          Issue.record("\(source.path) names \(name): \(line)")
        }
      }
    }
  }

  @Test("existentials stand only where one dynamic call per frame or per start is meant")
  func existentials() throws {
    let allowed = ["Sources/RaftKV/Network/PeerTransport.swift"]
    for source in try Self.sources(in: "Sources/RaftKV") where !allowed.contains(source.path) {
      for line in source.lines {
        let code = line.split(separator: "//", maxSplits: 1).first ?? ""
        let isType = code.contains(": any ") || code.contains("(any ") || code.contains("[any ")
        #expect(!isType, "\(source.path): \(line)")
      }
    }
  }

  @Test("nothing unchecked, nothing left to do, no file beyond its story")
  func habits() throws {
    let words = ["@unchecked", "TODO", "FIXME"]
    let all = try Self.sources(in: "Sources/RaftKV") + Self.sources(in: "Sources/raftkvd")
    #expect(all.count > 50)
    for source in all {
      #expect(source.lines.count <= 500, "\(source.path) has \(source.lines.count) lines")
      for line in source.lines {
        #expect(!words.contains { line.contains($0) }, "\(source.path): \(line)")
      }
    }
  }

  @Test("100 columns, comments and texts included, which the formatter leaves alone")
  func columns() throws {
    let folders = ["Sources", "Tests/RaftKVTests", "Tests/DaemonTests"]
    for source in try folders.flatMap(Self.sources(in:)) {
      for (index, line) in source.lines.enumerated() where line.count > 100 {
        Issue.record("\(source.path):\(index + 1): \(line.count) columns")
      }
    }
  }
}
