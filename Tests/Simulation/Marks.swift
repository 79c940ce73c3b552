/// Rare branches that a run has been through: what was never hit was never tested.
package enum Mark: Int, CaseIterable, Sendable {
  case messageLost, messageDoubled, oldMessageReplayed
  case crashAtDiskAccess, crashInRecovery, exitedOnDiskError
  case clientRedirected, outcomeUnknown
  case leaderElected, leaderDeposed, secondElection
  case entriesTruncated, configurationRolledBack, logReplacedBySnapshot
  case snapshotTaken, snapshotSent, logCompacted
  case learnerPromoted, memberRemoved, nodeRejoined, memberMoved
  case leaseRead, roundRead, staleRead
  case recoveredFromSnapshot, recoveredBehindCommit
  case diskHung, diskFull
  case committedOldTerm
  case httpPipelined, httpContinued, httpRefused, httpHeld
}

package struct Marks: Sendable {
  package private(set) var counts = Array(repeating: 0, count: Mark.allCases.count)

  package init() {}

  mutating func hit(_ mark: Mark) { counts[mark.rawValue] += 1 }

  package mutating func add(_ other: Marks) {
    for index in counts.indices { counts[index] += other.counts[index] }
  }

  package var hitCount: Int { counts.reduce(0) { $0 + ($1 > 0 ? 1 : 0) } }
  package var missing: [Mark] { Mark.allCases.filter { counts[$0.rawValue] == 0 } }
}
