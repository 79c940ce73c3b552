import Foundation
import Linearizability
import RaftKV
import Testing

/// The judge is judged: by histories drawn by hand, by a twin that tries every order, and by
/// published histories with known verdicts.
@Suite("Linearizability checker")
struct LinearizabilityTests {
  @Test("drawn histories", arguments: ["linearizable", "violated"])
  func drawn(verdict: String) throws {
    let histories = try DrawnHistory.load(verdict)
    #expect(histories.count > 10)
    for history in histories {
      let expected = verdict == "linearizable"
      #expect(
        Linearizability.check(history.operations).isLinearizable == expected, "\(history.title)")
      // The hand decides where the checker and its twin might share a mistake.
      #expect(EveryOrder.allows(history.operations) == expected, "the twin: \(history.title)")
    }
  }

  @Test("a twin that tries every order agrees on small random histories")
  func twin() {
    var random = Random(seed: 1)
    var counts = [true: 0, false: 0]
    for number in 0..<6_000 {
      let history = RandomHistory.make(&random, allowsRepeats: number % 2 == 0)
      let expected = EveryOrder.allows(history)
      counts[expected]! += 1
      #expect(Linearizability.check(history).isLinearizable == expected, "\(history)")
    }
    // A generator that makes only one kind would show nothing.
    #expect(counts[true]! > 1_000 && counts[false]! > 1_000, "\(counts)")
  }

  @Test("a long history of a real register is linearizable, and one old answer in it is found")
  func long() {
    var random = Random(seed: 2)
    var history = RandomHistory.ofRegister(&random, operations: 1_500, clients: 8)
    #expect(Linearizability.check(history) == .linearizable)
    let victim = history.indices.last {
      if case .get(let value) = history[$0].action { value != nil && $0 < 1_400 } else { false }
    }!
    let old = history.first { if case .put = $0.action { true } else { false } }!
    guard case .put(let value) = old.action else { return }
    history[victim].action = .get(value)
    #expect(!Linearizability.check(history).isLinearizable)
  }

  @Test("the report shows the end of the longest order and what cannot follow")
  func report() {
    let history = [
      Invocation(client: 1, key: 3, .put(1), called: 0, returned: 10),
      Invocation(client: 2, key: 3, .put(2), called: 20, returned: 30),
      Invocation(client: 1, key: 3, .get(1), called: 40, returned: 50),
      Invocation(client: 4, key: 3, .delete(found: nil), called: 45, returned: nil),
    ]
    guard case .violated(let report) = Linearizability.check(history) else {
      Issue.record("a stale read is a violation")
      return
    }
    let expected = """
      key 3 is not linearizable: of 4 operations 3 could be put in an order, after which the \
      register holds nothing.
      The end of that order:
        client 1  put 1                   |--------|
        client 2  put 2                                     |---------|
        client 4  delete                                                            |---->
      What should come next, but nothing can:
        client 1  get → 1                                                      |---------|
      """
    #expect(report == expected, "\n\(report)")
  }

  @Test("a search that runs out of budget says so")
  func budget() {
    // Every write overlaps every other, and the read fits none: all subsets are tried.
    var history = (0..<24).map {
      Invocation(client: $0, .put(UInt64($0)), called: 0, returned: 100)
    }
    history.append(Invocation(client: 99, .get(99), called: 200, returned: 201))
    guard case .unknown = Linearizability.check(history, budget: 10_000) else {
      Issue.record("10 000 steps cannot be enough")
      return
    }
  }

  @Test("the published verdicts on 102 histories of etcd under partitions")
  func published() throws {
    guard let folder = Self.published else {
      print("skipped: no folder shared/data/histories beside the checkout")
      return
    }
    let verdicts = try String(contentsOf: folder.appending(path: "expected.csv"), encoding: .utf8)
    var agreed = 0
    for line in verdicts.split(whereSeparator: \.isNewline) where line.hasPrefix("etcd") {
      let fields = line.split(separator: ",")
      let text = try String(
        contentsOf: folder.appending(path: String(fields[0])), encoding: .utf8)
      let verdict = Linearizability.check(try JepsenLog.operations(text))
      #expect(verdict.isLinearizable == (fields[1] == "true"), "\(fields[0]): \(verdict)")
      agreed += verdict.isLinearizable == (fields[1] == "true") ? 1 : 0
    }
    #expect(agreed == 102)
  }

  /// `shared` stands beside the checkout, wherever that is; a worktree may lie deeper.
  private static var published: URL? {
    var folder = URL(filePath: #filePath).deletingLastPathComponent()
    while folder.path != "/" {
      folder.deleteLastPathComponent()
      let candidate = folder.appending(path: "shared/data/histories")
      let file = candidate.appending(path: "expected.csv").path
      if FileManager.default.fileExists(atPath: file) { return candidate }
    }
    return nil
  }
}
