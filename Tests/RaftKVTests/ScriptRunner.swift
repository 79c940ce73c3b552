import Glibc
import RaftKV

/// Runs a story: verbs over a `RaftHarness`, and the exact trace that each must leave.
///
/// ```
/// # A paragraph of intent.
/// start 3
/// expire 1
/// ----
/// n1@2 -> n2 PreVote last=1@1
///
/// ```
/// A block is some lines of verbs, a line `----`, and the expected output up to an empty line.
/// `RAFT_SCRIPTS=rewrite swift test --filter ScriptTests` writes what happened in place of what was
/// expected; the difference is then for a reader to judge.
///
/// Nodes are numbers; a path `1->2` names packets under way, with either end left out for any.
///
///   start V [of N]           V voters, N - V empty nodes, all connected
///   expire N                 move time to N's deadline and wake it (a leader: its heartbeat)
///   wait MS | stall N        let time pass | tell N that its loop stood still
///   deliver [PATH]           everything until quiet; or once, what is under way on the path
///   drop [PATH] | hold PATH | keep PATH | release | repeat PATH
///                            lose packets | put them aside | put copies aside | put back what
///                            is aside | copy them
///   cut PATH | heal          from now on swallow packets on the path | no more
///   connect A B | disconnect A B | dead N OF        connections; N finds that OF's process is gone
///   propose N X | read N | lease N | transfer N [TO] | storage N healthy|full|hung
///   add N NEW | promote N WHO | remove N WHO
///   disk N slow|quick        writes wait for `persist` | are done at once
///   persist N [hard|log|snapshot]                   one write; without a kind, all there are
///   snapshot N [TAIL]        take one and compact, keeping TAIL bytes of entries
///   crash N [EDITS] | restart N                     EDITS of the unfinished log edits survive
///   status N.. | log N.. | quiet | loud             facts; and whether events are traced
final class ScriptRunner {
  private let harness: RaftHarness
  private var held: [RaftHarness.Packet] = []
  private var cuts: [Path] = []

  private struct Path {
    var from: Int?
    var to: Int?

    init?(_ text: Substring) {
      guard let arrow = text.firstRange(of: "->") else { return nil }
      from = Int(text[..<arrow.lowerBound])
      to = Int(text[arrow.upperBound...])
    }

    func holds(_ packet: RaftHarness.Packet) -> Bool {
      (from == nil || packet.envelope.from.rawValue == UInt64(from!))
        && (to == nil || packet.envelope.to.rawValue == UInt64(to!))
    }
  }

  init() {
    var parameters = Parameters()
    parameters.snapshotChunkBytes = 10
    parameters.maximumAppendBytes = 12
    parameters.windowMessages = 3
    parameters.uncommittedBytes = 60
    harness = RaftHarness(parameters: parameters)
    harness.isTracing = true
  }

  var failures: [String] { harness.failures }

  /// The script with the output of this run in place of the expected.
  static func replay(_ script: String) -> (text: String, failures: [String]) {
    let runner = ScriptRunner()
    var lines: [String] = []
    var isOutput = false
    for line in script.split(separator: "\n", omittingEmptySubsequences: false) {
      if isOutput {
        isOutput = !line.isEmpty
        if isOutput { continue }
      }
      lines.append(String(line))
      if line == "----" {
        lines.append(contentsOf: runner.harness.trace)
        runner.harness.trace.removeAll()
        isOutput = true
      } else if !line.isEmpty, !line.hasPrefix("#") {
        runner.run(line)
      }
    }
    return (lines.joined(separator: "\n"), runner.failures)
  }

  // MARK: Verbs

  private func run(_ line: Substring) {
    let words = line.split(separator: " ")
    let numbers = words.dropFirst().compactMap { Int($0) }
    let path = words.dropFirst().first.flatMap { Path($0) }
    if runOnPackets(words[0], path) || runOnProcess(words, numbers) || runOnDisk(words, numbers) {
      return
    }
    switch words[0] {
    case "propose": harness.propose(numbers[0], String(words[2]))
    case "read": harness.read(numbers[0])
    case "transfer": harness.transfer(numbers[0], to: numbers.count > 1 ? numbers[1] : nil)
    case "add": add(numbers[1], by: numbers[0])
    case "promote": harness.change(numbers[0], .promote(NodeID(UInt64(numbers[1]))))
    case "remove": harness.change(numbers[0], .remove(NodeID(UInt64(numbers[1]))))
    case "lease":
      let node = harness.node(numbers[0])
      let has = node.raft.hasLease(at: harness.now(at: node))
      harness.trace.append("\(node.name) has \(has ? "a" : "no") lease")
    case "status": for number in numbers { status(harness.node(number)) }
    case "log": for number in numbers { log(harness.node(number)) }
    case "quiet": harness.isTracing = false
    case "loud": harness.isTracing = true
    default: harness.fail("no such verb: \(line)")
    }
  }

  private func add(_ new: Int, by leader: Int) {
    harness.change(leader, .add(RaftHarness.member(new, role: .learner)))
  }

  private func runOnPackets(_ verb: Substring, _ path: Path?) -> Bool {
    switch verb {
    case "deliver": deliver(path)
    case "drop": take(path) { _ in }
    case "hold": take(path) { self.held.append($0) }
    case "keep": held += harness.packets.filter { path?.holds($0) ?? true }
    case "release":
      harness.packets.append(contentsOf: held)
      held.removeAll()
    case "repeat": harness.packets += harness.packets.filter { path?.holds($0) ?? true }
    case "cut": cuts.append(path!)
    case "heal": cuts.removeAll()
    default: return false
    }
    return true
  }

  private func take(_ path: Path?, _ body: (RaftHarness.Packet) -> Void) {
    let packets = harness.packets
    harness.packets.removeAll { path?.holds($0) ?? true }
    for packet in packets where path?.holds(packet) ?? true { body(packet) }
  }

  private func deliver(_ path: Path?) {
    // A story's exchange ends after a few steps; one that does not is itself a finding.
    for _ in 0..<200 where !harness.packets.isEmpty {
      take(path) { packet in
        if !cuts.contains(where: { $0.holds(packet) }) { harness.deliver(packet) }
      }
      for node in harness.nodes where !node.isDiskSlow {
        while !node.storing.isEmpty || node.received != nil {
          harness.persistSnapshot(Int(node.id.rawValue))
        }
      }
      if path != nil { return }
    }
    if !harness.packets.isEmpty { harness.fail("messages never end") }
  }

  private func runOnProcess(_ words: [Substring], _ numbers: [Int]) -> Bool {
    switch words[0] {
    case "start": harness.start(voters: numbers[0], count: numbers.last!)
    case "expire": harness.expire(numbers[0])
    case "wait":
      let wait = Interval.milliseconds(numbers[0])
      harness.time = Interval(nanoseconds: harness.time.nanoseconds + wait.nanoseconds)
    case "stall": harness.happen(at: harness.node(numbers[0])) { $0.raft.didStall(at: $1) }
    case "connect": harness.connect(numbers[0], numbers[1])
    case "disconnect": harness.disconnect(numbers[0], numbers[1])
    case "dead": harness.findDead(numbers[0], numbers[1])
    case "crash": harness.crash(numbers[0], keeping: numbers.count > 1 ? numbers[1] : 0)
    case "restart": harness.restart(numbers[0])
    default: return false
    }
    return true
  }

  private func runOnDisk(_ words: [Substring], _ numbers: [Int]) -> Bool {
    switch words[0] {
    case "disk": harness.node(numbers[0]).isDiskSlow = words[2] == "slow"
    case "persist": persist(numbers[0], words.count > 2 ? words[2] : "everything")
    case "snapshot":
      harness.takeSnapshot(numbers[0])
      harness.persistSnapshot(numbers[0], keepingTail: numbers.count > 1 ? numbers[1] : 0)
    case "storage":
      let health: Raft.StorageHealth =
        words[2] == "full" ? .full : words[2] == "hung" ? .hung : .healthy
      harness.setStorage(numbers[0], health)
    default: return false
    }
    return true
  }

  private func persist(_ number: Int, _ kind: Substring) {
    let node = harness.node(number)
    switch kind {
    case "hard": harness.persistHardState(number)
    case "log": harness.persistLog(number)
    case "snapshot": harness.persistSnapshot(number)
    default:
      while node.hardStateInFlight != nil { harness.persistHardState(number) }
      while !node.writes.isEmpty { harness.persistLog(number) }
    }
  }

  // MARK: Facts

  private func status(_ node: Node) {
    let raft = facts(of: node)
    harness.trace.append("\(node.name) \(raft)")
    guard let leadership = node.raft.leadership else { return }
    for progress in leadership.progress {
      var state = "probe"
      if case .replicate = progress.state { state = "replicate" }
      if case .snapshot(let snapshot) = progress.state { state = "snapshot@\(snapshot.offset)" }
      harness.trace.append(
        "  \(RaftHarness.name(progress.id)) \(state) match=\(progress.matchIndex)"
          + " next=\(progress.nextIndex) messages=\(progress.messagesInFlight)")
    }
  }

  private func facts(of node: Node) -> String {
    guard node.isUp else { return "down" }
    return "\(node.raft.role) \(describe(node)) last=\(node.raft.outline.lastEntry)"
      + " commit=\(node.raft.commitIndex) durable=\(node.raft.persistedIndex)"
  }

  private func describe(_ node: Node) -> String {
    harness.describe(node.raft.hardState) + " leader=\(RaftHarness.name(node.raft.leader))"
  }

  private func log(_ node: Node) {
    let entries = node.log.entries.map { entry in
      switch entry.kind {
      case .noop: "\(entry.id) noop"
      case .configuration: "\(entry.id) configuration"
      case .command, .reclaim: "\(entry.id) \(entry.command)"
      }
    }
    harness.trace.append("\(node.name) [\(node.log.base)] " + entries.joined(separator: ", "))
  }
}
