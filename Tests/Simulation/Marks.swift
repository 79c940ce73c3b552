import RaftKV

/// Rare things that a run has been through, as the simulator sees them from outside: what never
/// happened was never tested.
package enum Mark: Int, CaseIterable, Sendable {
  case messageLost, messageDoubled, messageDelayed, oldMessageReplayed
  case crashAtDiskAccess, crashInRecovery, exitedOnDiskError
  case clientRedirected, outcomeUnknown
  case leaderElected, leaderDeposed, secondElection
  case entriesTruncated, configurationRolledBack, logReplacedBySnapshot
  case snapshotTaken, snapshotSent, logCompacted
  case learnerPromoted, memberRemoved, nodeRejoined, memberMoved, greetedAnew
  case leaseRead, roundRead, staleRead
  case recoveredFromSnapshot, recoveredBehindCommit
  case diskHung, diskFull, diskRotten, rotFound
  case committedOldTerm
  case httpPipelined, httpContinued, httpRefused, httpHeld
}

/// How often each was hit: first those above, then the product's own `CoverageMark`s where the build
/// counts them, then the sites of planted bugs where it has them.
package struct Marks: Sendable {
  package static let names =
    Mark.allCases.map { "\($0)" } + CoverageMark.counted.map { "\($0)" } + siteNames

  package private(set) var counts = Array(repeating: 0, count: names.count)

  package init() {}

  mutating func hit(_ mark: Mark) { counts[mark.rawValue] += 1 }

  /// Takes over what the product's code has counted since `CoverageMark.reset`.
  mutating func collect() {
    for (index, count) in CoverageMark.counts.enumerated() {
      counts[Mark.allCases.count + index] = count
    }
    #if PLANTED_BUGS
    for bug in PlantedBug.allCases where bug.isReached { counts[Self.position(ofSite: bug)] = 1 }
    #endif
  }

  #if PLANTED_BUGS
  private static var siteNames: [String] { PlantedBug.allCases.map { "site of \($0)" } }

  package static func position(ofSite bug: PlantedBug) -> Int {
    Mark.allCases.count + CoverageMark.counted.count + bug.number
  }
  #else
  private static var siteNames: [String] { [] }
  #endif

  /// Begins to count the product's branches anew.
  static func reset() {
    CoverageMark.reset()
    #if PLANTED_BUGS
    PlantedBug.reset()
    #endif
  }
}
