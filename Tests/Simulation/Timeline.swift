import RaftKV

/// The story of a run at a glance: a row whenever something happens that a reader would ask about,
/// and in each row what every node was at that moment.
///
/// ```
///     time    n1             n2             n3             what
///   1.204113  L2 14/14       f2 13/13       f2 14/13
///   1.310002  down           f2 14/13       f2 14/14       n1 is killed
/// ```
/// `L` leads, `c` is a candidate, `p` a pre-candidate, `f` follows; then the term, and the commit and the
/// applied index. A node in brackets stands still.
struct Timeline {
  /// Takes each row as it comes, so that those before a trap are seen.
  var sink: ((String) -> Void)?
  private var hasHeader = false
  private var seen: [String] = []
  private var lastRow: UInt64 = 0
  private var lastCommit = 0
  /// Commits alone make a row after a second, and if nothing else comes between, after twice that,
  /// …
  private static var commitInterval: UInt64 { Duration.second }
  private var quietRows = 0
  private static var cellWidth: Int { 14 }

  /// After an event of `host`: a row if its role has changed, or if commits have gone on for a
  /// while.
  mutating func observe(_ host: Host, in world: World) {
    guard sink != nil else { return }
    if seen.isEmpty { seen = Array(repeating: "", count: world.hosts.count) }
    let role = host.process.map { Self.role($0) } ?? "down"
    let commit = world.checker.committed.count
    if role != seen[host.index] {
      let isNews = role.first != "f" || seen[host.index].first == "L"
      seen[host.index] = role
      if isNews { row(Self.sentence(host, role), in: world) }
    } else if commit > lastCommit, world.now >= lastRow + Self.commitInterval << UInt64(quietRows) {
      row("", in: world)
    }
  }

  mutating func row(_ text: String, in world: World) {
    guard let sink else { return }
    if !hasHeader {
      hasHeader = true
      let names = world.hosts.map { Self.padded($0.name, Self.cellWidth) }.joined()
      sink("    time    \(names) what")
    }
    quietRows = text.isEmpty ? quietRows + 1 : 0
    lastRow = world.now
    lastCommit = world.checker.committed.count
    let cells = world.hosts.map { Self.padded(Self.cell($0), Self.cellWidth) }.joined()
    let time = Trace.seconds(world.now)
    let indent = String(repeating: " ", count: max(0, 10 - time.count))
    sink("\(indent)\(time)  \(cells)" + (text.isEmpty ? "" : " \(text)"))
  }

  private static func role(_ process: Process) -> String {
    let raft = process.replica.raft.currentTerm
    switch process.replica.raft.role {
    case .leader: return "L\(raft)"
    case .candidate: return "c\(raft)"
    case .preCandidate: return "p\(raft)"
    case .follower: return "f\(raft)"
    }
  }

  private static func sentence(_ host: Host, _ role: String) -> String {
    let term = role.dropFirst()
    switch role.first {
    case "L": return "\(host.name) leads in term \(term)"
    case "c": return "\(host.name) campaigns in term \(term)"
    case "p": return "\(host.name) asks for pre-votes"
    case "d": return "\(host.name) is down"
    default: return "\(host.name) follows in term \(term)"
    }
  }

  private static func cell(_ host: Host) -> String {
    guard let process = host.process else { return host.isPoweredOff ? "off" : "down" }
    let commit = process.replica.raft.commitIndex
    let text = "\(role(process)) \(commit)/\(process.replica.appliedIndex)"
    return host.isPaused ? "(\(text))" : text
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}

extension World {
  /// Notes what a reader of a failure wants to know of: in the trace, and as a row of the timeline.
  func tell(_ host: Host?, _ text: @autoclosure () -> String) {
    guard trace.isRecording || timeline.sink != nil else { return }
    let text = text()
    trace.note(now, host?.index, text)
    timeline.row((host.map { "\($0.name) " } ?? "") + text, in: self)
  }
}
