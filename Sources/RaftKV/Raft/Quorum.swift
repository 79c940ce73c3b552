/// Majorities of a set of voters.
package struct Quorum: Equatable, Sendable {
  package enum Result: Equatable, Sendable {
    case won
    case pending
    case lost
  }

  package var voters: [NodeID]
  package init(_ voters: [NodeID]) { self.voters = voters }

  package var size: Int {
    #if PLANTED_BUGS
    if voters.count % 2 == 0, PlantedBug.halfIsMajority.isActive { return voters.count / 2 }
    #endif
    return voters.count / 2 + 1
  }

  /// The highest value that a majority has reached: sorted downwards, the one at position
  /// `size - 1`. Nil for no voters, where any value is agreed on.
  package func agreed<Value: Comparable>(_ value: (NodeID) -> Value) -> Value? {
    guard !voters.isEmpty else { return nil }
    // On the stack, and sorted as they come: this is asked several times in every turn.
    return withUnsafeTemporaryAllocation(of: Value.self, capacity: voters.count) { values in
      for (count, voter) in voters.enumerated() {
        let reached = value(voter)
        var position = count
        while position > 0, values[position - 1] < reached {
          values.initializeElement(at: position, to: values.moveElement(from: position - 1))
          position -= 1
        }
        values.initializeElement(at: position, to: reached)
      }
      defer { values.deinitialize() }
      return values[size - 1]
    }
  }

  /// Where a vote stands: won with a majority of yes, lost once the voters left cannot make one. No
  /// voters: won, as every condition on the empty set.
  package func result(_ vote: (NodeID) -> Bool?) -> Result {
    var granted = 0
    var refused = 0
    for voter in voters {
      switch vote(voter) {
      case true?: granted += 1
      case false?: refused += 1
      case nil: break
      }
    }
    if voters.isEmpty || granted >= size { return .won }
    return voters.count - refused < size ? .lost : .pending
  }

  /// Whether a majority satisfies `condition`.
  package func holds(_ condition: (NodeID) -> Bool) -> Bool {
    voters.reduce(0) { $0 + (condition($1) ? 1 : 0) } >= size
  }
}
