import Foundation
import Linearizability

/// One storm, what comes after it, and the verdict.
struct Round {
  static let keyCount = 8

  let cluster: Cluster
  let number: Int
  let options: Options
  let records = Records()
  private(set) var counts: [String: Int] = [:]
  private(set) var violations: [String] = []
  /// What the keys hold in the end: value and index, or nothing.
  private(set) var final: [String: UInt64?] = [:]
  /// Nanoseconds from the end of the storm until all nodes had the same state.
  private(set) var healing: UInt64 = 0

  init(_ cluster: Cluster, number: Int) {
    self.cluster = cluster
    self.number = number
    options = cluster.options
  }

  mutating func run(seed: UInt64, failpoints: Failpoints) {
    var random = Seeded(seed)
    let places = cluster.nodes.map(\.place)
    for client in 0..<options.clients {
      ChaosClient(
        number: client, round: number, keyCount: Self.keyCount, nodes: places,
        lives: cluster.lives, records: records
      ).start(seed: random.next())
    }
    Weather(network: cluster.network, count: cluster.nodes.count, records: records)
      .start(seed: random.next())
    let deadline = Clock.now + UInt64(options.storm * 1e9)
    var faults = Faults(cluster, until: deadline, seed: random.next(), failpoints)
    faults.run()
    counts = faults.counts
    let ended = Clock.now
    do {
      records.end()
      try cluster.eventually("the clients end", within: 60) { records.running == 0 }
      try cluster.heal()
      healing = Clock.now - ended
      try readAll()
    } catch {
      if !Interruption.isRequested { violations.append("\(error)") }
    }
    cluster.reap()
    violations += cluster.takeViolations() + records.surprises
    var judge = Judge(records.all, leaseBound: options.leaseBound)
    judge.run()
    violations += judge.violations
  }

  /// The last word on every key belongs to the history, and every node has it.
  private mutating func readAll() throws {
    for key in 0..<Self.keyCount {
      let name = ChaosClient.name(round: number, key: key)
      var record = Record(
        client: options.clients, key: key, .get(.consistent), called: Clock.now)
      let value = try cluster.read(name, "consistent", at: cluster.nodes[0])
      record.returned = Clock.now
      record.value = value?.number
      record.index = value?.index
      records.add(record)
      final[name] = .some(value?.number)
    }
    try cluster.converge()
    for node in cluster.nodes { violations += try cluster.differences(of: node, from: final) }
  }
}

extension Cluster {
  /// What a key holds, asked again until there is an answer.
  func read(
    _ key: String, _ level: String, at node: Node
  ) throws(Failure) -> (number: UInt64, index: UInt64)? {
    var answer: Answer?
    try eventually("an answer for \(key)", within: 60) {
      answer = ask("GET", "/key?key=\(key)&level=\(level)", at: node)
      return answer?.status == 200 || answer?.status == 404
    }
    guard let answer, answer.status == 200 else { return nil }
    guard let number = Value.number(answer.body), let index = answer.number("x-raftkv-index")
    else { throw Failure(text: "\(key) holds '\(answer.text.prefix(40))'") }
    return (number, index)
  }

  /// In what the node's own state differs from what is known.
  func differences(
    of node: Node, from known: [String: UInt64?]
  ) throws(Failure) -> [String] {
    var differences: [String] = []
    for (key, value) in known.sorted(by: { $0.key < $1.key }) {
      let found = try read(key, "stale", at: node)?.number
      if found != value {
        differences.append("\(node.name) has \(key) = \(found as Any), not \(value as Any)")
      }
    }
    return differences
  }
}
