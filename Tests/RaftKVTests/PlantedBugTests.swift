import Foundation
import RaftKV
import Testing

/// Planted bugs are not compiled here, so these tests read the sources: the list and its sites
/// belong together, and nothing of it can get into a product build.
@Suite("Planted bugs and coverage marks")
struct PlantedBugTests {
  private static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  private static let list = "Support/PlantedBug.swift"

  private static func sources() throws -> [(path: String, lines: [String])] {
    let base = root.appending(path: "Sources/RaftKV")
    let names = try #require(FileManager.default.subpaths(atPath: base.path)).sorted()
    return try names.filter { $0.hasSuffix(".swift") }.map { name in
      let text = try String(contentsOf: base.appending(path: name), encoding: .utf8)
      return (name, text.components(separatedBy: "\n"))
    }
  }

  /// Name and trap, from the lines `case .name: "A1 A sentence."`.
  private static func bugs() throws -> [(name: String, trap: String)] {
    let url = root.appending(path: "Sources/RaftKV/" + list)
    let text = try String(contentsOf: url, encoding: .utf8)
    return text.components(separatedBy: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count > 3, words[0] == "case", words[1].hasPrefix("."), words[1].hasSuffix(":")
      else { return nil }
      return (String(words[1].dropFirst().dropLast()), String(words[2].dropFirst()))
    }
  }

  /// The words in `line` that follow `prefix`, up to the end of the identifier.
  private static func names(after prefix: String, in line: String) -> [String] {
    line.components(separatedBy: prefix).dropFirst().map { rest in
      String(rest.prefix { $0.isLetter || $0.isNumber })
    }
  }

  @Test("there are bugs enough, of every chapter of the traps")
  func chapters() throws {
    let bugs = try Self.bugs()
    #expect(bugs.count >= 50)
    #expect(Set(bugs.map(\.name)).count == bugs.count)
    for chapter in "ABCDEFGHI" {
      let count = bugs.filter { $0.trap.first == chapter && Int($0.trap.dropFirst()) != nil }.count
      #expect(count >= 3, "chapter \(chapter) has \(count)")
    }
  }

  @Test("every bug has its site, every site stands under its condition and names a bug")
  func sites() throws {
    let known = Set(try Self.bugs().map(\.name))
    var used: Set<String> = []
    for source in try Self.sources() where source.path != Self.list {
      // One entry per open `#if`: whether this branch is compiled with planted bugs alone.
      var conditions: [Bool] = []
      for (number, line) in source.lines.enumerated() {
        let place = "\(source.path):\(number + 1)"
        let code = line.trimmingCharacters(in: .whitespaces)
        if code.hasPrefix("#if ") {
          conditions.append(code == "#if PLANTED_BUGS")
          #expect(
            code == "#if PLANTED_BUGS" || !code.contains("PLANTED_BUGS"), "\(place): \(code)")
        } else if code == "#else" || code.hasPrefix("#elseif") {
          try #require(!conditions.isEmpty, "\(place) has no #if")
          conditions[conditions.count - 1] = false
        } else if code == "#endif" {
          try #require(!conditions.isEmpty, "\(place) has no #if")
          conditions.removeLast()
        }
        guard line.contains("PlantedBug") else { continue }
        #expect(conditions.contains(true), "\(place) would be in the product")
        for name in Self.names(after: "PlantedBug.", in: line) {
          #expect(known.contains(name), "\(place) names \(name)")
          used.insert(name)
        }
      }
      #expect(conditions.isEmpty, "\(source.path) leaves an #if open")
    }
    #expect(used == known, "without a site: \(known.subtracting(used).sorted())")
  }

  @Test("the list itself is no part of the product")
  func list() throws {
    let list = try #require(try Self.sources().first { $0.path == Self.list })
    let code = list.lines.filter { !$0.isEmpty }
    #expect(code.first == "#if PLANTED_BUGS")
    #expect(code.last == "#endif")
    #expect(code.filter { $0.hasPrefix("#") }.count == 2)
  }

  @Test("every coverage mark has its site")
  func marks() throws {
    #expect(CoverageMark.allCases.count >= 80)
    var used: Set<String> = []
    for source in try Self.sources() {
      for line in source.lines where line.contains("CoverageMark.hit(") {
        used.formUnion(Self.names(after: ".", in: line))
      }
    }
    for mark in CoverageMark.allCases {
      #expect(used.contains("\(mark)"), "\(mark) is hit nowhere")
    }
    // This build counts none of them.
    #expect(CoverageMark.counts.isEmpty)
  }
}
