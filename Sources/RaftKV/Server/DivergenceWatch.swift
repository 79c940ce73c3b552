/// Compares the state hashes that members report at equal indexes. Nodes that applied the same
/// entries and differ have a fault that Raft cannot see: bad memory, or a mistake of ours.
struct DivergenceWatch {
  enum Verdict: Equatable {
    case agreed
    /// Members differ and no hash has a majority of the voters behind it.
    case undecided
    /// This member differs from what a majority of the voters has.
    case deviant(NodeID)
  }

  private struct Vote {
    var node: NodeID
    var report: StateHashReport
  }

  /// The last report of each member. Linear: a cluster has a handful.
  private var votes: [Vote] = []
  private var alarmedAt = LogIndex.zero

  mutating func forget() { votes.removeAll() }

  /// Notes what `peer` reports; `own` is what this node had at the same index.
  mutating func note(
    _ report: StateHashReport, from peer: NodeID, own: StateHashReport, by id: NodeID,
    voters: [NodeID]
  ) -> Verdict {
    votes.removeAll { $0.node == peer }
    votes.append(Vote(node: peer, report: report))
    // Different hash versions are not compared.
    func isComparable(_ vote: Vote) -> Bool {
      vote.report.index == own.index && vote.report.version == own.version
    }
    // With each answer of a peer, and mostly all agree: nothing is made of them for that.
    guard votes.contains(where: { isComparable($0) && $0.report.hash != own.hash }) else {
      return .agreed
    }
    let comparable = (votes + [Vote(node: id, report: own)]).filter(isComparable)
    for candidate in comparable {
      let support = voters.filter { voter in
        comparable.contains { $0.node == voter && $0.report.hash == candidate.report.hash }
      }
      guard support.count > voters.count / 2 else { continue }
      if let deviant = comparable.first(where: { $0.report.hash != candidate.report.hash }) {
        return .deviant(deviant.node)
      }
    }
    // Not everybody may have reported yet; one alarm per index when all have.
    let isComplete = voters.allSatisfy { voter in comparable.contains { $0.node == voter } }
    guard isComplete, alarmedAt != own.index else { return .agreed }
    alarmedAt = own.index
    return .undecided
  }
}
