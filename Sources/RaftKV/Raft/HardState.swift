/// What must survive a crash before any reply or vote leaves (Figure 2, "persistent state"; A1).
package struct HardState: Equatable, Sendable {
  package var currentTerm: Term
  /// `.none` while no vote was given in `currentTerm`.
  package var votedFor: NodeID

  package init(currentTerm: Term = .zero, votedFor: NodeID = .none) {
    self.currentTerm = currentTerm
    self.votedFor = votedFor
  }
}
