/// Compares the state hashes that members report at equal indexes.
struct DivergenceWatch {
  enum Verdict: Equatable {
    case agreed
    /// Members differ and no hash has a majority of the voters behind it.
    case undecided(LogIndex)
    /// This member differs from what a majority of the voters has.
    case deviant(NodeID, LogIndex)
  }

  private struct Vote {
    var node: NodeID
    var hash: StateHash
  }

  private var history: [StateHashReport] = []
  /// What others said about the index they last reported; a handful of members.
  private var votes: [(index: LogIndex, votes: [Vote])] = []
  private var alarmedAt = LogIndex.zero

  /// How many indexes are remembered: followers lag by less, or catch up by snapshot.
  private static let capacity = 64

  /// The newest remembered hash: what this node reports of itself.
  var newest: StateHashReport? { history.last }

  mutating func remember(_ hash: @autoclosure () -> StateHash, at index: LogIndex, every interval: Int) {
    guard index.rawValue % UInt64(interval) == 0 else { return }
    if history.count == Self.capacity { history.removeFirst() }
    history.append(
      StateHashReport(version: StateHash.version, index: index, hash: hash()))
  }

  /// A snapshot took the place of the state: what was remembered before says nothing about it.
  mutating func forget() {
    history.removeAll()
    votes.removeAll()
  }

  mutating func note(
    _ report: StateHashReport, from peer: NodeID, ourselves: NodeID, voters: [NodeID]
  ) -> Verdict {
    guard report.version == StateHash.version,
      let own = history.last(where: { $0.index == report.index })
    else { return .agreed }
    record(Vote(node: peer, hash: report.hash), at: report.index)
    let others = votes.last { $0.index == report.index }?.votes ?? []
    if others.allSatisfy({ $0.hash == own.hash }) { return .agreed }
    let all = others + [Vote(node: ourselves, hash: own.hash)]
    for candidate in all {
      let support = voters.filter { voter in
        all.contains { $0.node == voter && $0.hash == candidate.hash }
      }
      guard support.count > voters.count / 2 else { continue }
      if let deviant = all.first(where: { $0.hash != candidate.hash }) {
        return .deviant(deviant.node, report.index)
      }
    }
    // Too early to say while members have not reported; one alarm per index when all have.
    let isComplete = voters.allSatisfy { voter in all.contains { $0.node == voter } }
    guard isComplete, alarmedAt != report.index else { return .agreed }
    alarmedAt = report.index
    return .undecided(report.index)
  }

  private mutating func record(_ vote: Vote, at index: LogIndex) {
    if let position = votes.firstIndex(where: { $0.index == index }) {
      votes[position].votes.removeAll { $0.node == vote.node }
      votes[position].votes.append(vote)
      return
    }
    if votes.count == Self.capacity { votes.removeFirst() }
    votes.append((index, [vote]))
  }
}
