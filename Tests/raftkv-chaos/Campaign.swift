import Foundation
import Glibc

/// Clusters, one after the other, each for some rounds, until the time is over.
struct Campaign {
  private let options: Options
  private let deadline: UInt64
  private var random: Seeded
  private var round = 0
  private var passed = 0
  private var failed = 0
  private var kills = 0
  private var operations = 0
  private var unknown = 0
  private var violations = 0
  private var slowestHealing: UInt64 = 0
  private var counts: [String: Int] = [:]
  private let failpoints = Failpoints()

  init(_ options: Options) {
    self.options = options
    deadline = Clock.now + UInt64(options.seconds * 1e9)
    random = Seeded(options.seed)
  }

  /// Returns whether every round passed.
  mutating func run() -> Bool {
    print("raftkv-chaos --seed \(options.seed): \(options.seconds) s, \(options.binary)")
    var life = 0
    repeat {
      runCluster(life, count: options.nodeCounts[life % options.nodeCounts.count])
      life += 1
    } while Clock.now < deadline && failed < 5 && !Interruption.isRequested
    let faults = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    if options.hasFailpoints {
      print("failpoints: \(failpoints.played.count) of \(failpoints.all.count) passed")
      for card in failpoints.missing { print("  not passed: \(card.mark)") }
    }
    print("faults: " + faults.joined(separator: ", "))
    print(
      "\(passed) passed, \(failed) failed; \(kills) kills, \(operations) operations, \(unknown) of "
        + "unknown outcome, \(violations) violations; seed \(options.seed)")
    return failed == 0
  }

  /// A cluster from its first start to its end; it ends early with the first violation.
  private mutating func runCluster(_ life: Int, count: Int) {
    let directory = "\(options.directory)/raftkv-chaos-\(getpid())-\(life)"
    var random = Seeded(random.next())
    do {
      let cluster = try Cluster(options, count: count, directory: directory)
      defer {
        cluster.end()
        kills += cluster.kills
      }
      try cluster.form()
      var known: [String: UInt64?] = [:]
      for _ in 0..<options.rounds {
        if Interruption.isRequested { break }
        var current = Round(cluster, number: round)
        let before = cluster.kills
        current.run(seed: random.next(), failpoints: failpoints)
        if options.hasFailpoints { for node in cluster.nodes { failpoints.read(node.log) } }
        known.merge(current.final) { $1 }
        report(current, count, kills + cluster.kills, cluster.kills - before)
        round += 1
        if !current.violations.isEmpty {
          return keep(cluster, directory, current)
        }
        if Clock.now >= deadline { break }
      }
      try finish(cluster, known, directory)
    } catch  where Interruption.isRequested {
      print("interrupted")
      try? FileManager.default.removeItem(atPath: directory)
    } catch {
      failed += 1
      violations += 1
      print("FAILED: \(error); see \(directory)")
    }
  }

  /// After a last crash of all nodes everything that was ever acknowledged is there.
  private mutating func finish(
    _ cluster: Cluster, _ known: [String: UInt64?], _ directory: String
  ) throws {
    cluster.kill(cluster.nodes)
    for node in cluster.nodes { cluster.start(node) }
    try cluster.heal()
    for node in cluster.nodes {
      let differences = try cluster.differences(of: node, from: known)
      guard differences.isEmpty else {
        throw Cluster.Failure(text: differences.joined(separator: "\n"))
      }
    }
    cluster.end()
    try? FileManager.default.removeItem(atPath: directory)
  }

  private mutating func report(_ round: Round, _ count: Int, _ kills: Int, _ more: Int) {
    let records = round.records.all
    let unknown = records.count { $0.returned == nil }
    operations += records.count
    self.unknown += unknown
    violations += round.violations.count
    slowestHealing = max(slowestHealing, round.healing)
    for (name, count) in round.counts { counts[name, default: 0] += count }
    if round.violations.isEmpty { passed += 1 } else { failed += 1 }
    let left = deadline > Clock.now ? (deadline - Clock.now) / Clock.second : 0
    let healing = Double(round.healing / Clock.millisecond) / 1000
    print(
      "round \(round.number): \(count) nodes, \(more) kills (\(kills)), \(records.count) operations "
        + "(\(unknown) unknown), healed in \(healing) s, \(violations) violations, \(left) s left")
    fflush(nil)
  }

  /// A failed round's history and logs stay, and it is said where.
  private func keep(_ cluster: Cluster, _ directory: String, _ round: Round) {
    // The small volume goes with its cluster.
    if let node = cluster.nodes.last, cluster.volume != nil {
      try? FileManager.default.copyItem(
        atPath: node.directory, toPath: "\(directory)/\(node.name)")
    }
    let text = round.violations.joined(separator: "\n")
    try? text.write(
      toFile: "\(directory)/violations.txt", atomically: true, encoding: .utf8)
    let history = round.records.all.map { "\($0)" }.joined(separator: "\n")
    try? history.write(toFile: "\(directory)/history.txt", atomically: true, encoding: .utf8)
    print("FAILED round \(round.number), \(round.violations.count) violations:")
    for violation in round.violations.prefix(5) { print("  \(violation)") }
    print("history, logs and data: \(directory)")
  }
}
