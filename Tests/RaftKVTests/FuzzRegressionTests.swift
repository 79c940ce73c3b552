import Foundation
import Fuzzers
import Testing

/// What the fuzzers begin from, and what they once broke (Tests/Fuzzers/regressions). An input that
/// broke a rule by a trap ends this process when it does so again.
@Suite("Fuzz regressions")
struct FuzzRegressionTests {
  private static let regressions = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fuzzers/regressions")

  @Test("every input keeps the rules", arguments: Fuzzing.all.map { $0.name })
  func replay(_ name: String) throws {
    let fuzzer = try #require(Fuzzing.all.first { $0.name == name })
    for (number, seed) in fuzzer.seeds.enumerated() {
      #expect(throws: Never.self, "seed \(number)") { try fuzzer.judge(seed) }
    }
    let folder = Self.regressions.appending(path: name)
    let files = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
    for file in (files ?? []).sorted() {
      let input = try Array(Data(contentsOf: folder.appending(path: file)))
      #expect(throws: Never.self, "\(file)") { try fuzzer.judge(input) }
    }
  }

  @Test("a regression is of a fuzzer that exists")
  func orphans() throws {
    let names = Fuzzing.all.map { $0.name }
    for folder in try FileManager.default.contentsOfDirectory(atPath: Self.regressions.path) {
      #expect(names.contains(folder))
    }
  }
}
