/// Rare branches of the product's code, by name. What no test was ever seen to go through was never
/// tested; the simulator says which of these a run has missed.
///
/// A site is one line, `CoverageMark.hit(.tornTailCut)`. It compiles to nothing unless the build
/// has `-D COVERAGE_MARKS`.
package enum CoverageMark: Int, CaseIterable, Sendable {
  // Elections
  case candidateFollows, preCandidateFollows, deadLeaderProbedAgain, stalledAsLeader
  case stalledAsFollower, leaderFoundDead, campaignForTransfer, campaignStopped, electionLost
  case preVoteLost, voteRefusedLeaderHeard, voteRefusedAfterRestart, preVoteOfOldTerm
  case voteGivenAlready, voteRepeated, preCandidateVotes, longerLogIsOlder, voteOfOldTerm
  case voteTooLate, voteTwice, voteAskedAgain, quorumLost, oldLeaderAnswered, strangerHeard
  case timeoutNowIgnored
  // Durability
  case messagesWaitForTerm, hardStateOvertaken, writeTruncatedInFlight, configurationTakenBack
  // Replication: the leader
  case proposedDuringTransfer, tooMuchUncommitted, followerIsFull, logServesAfterSnapshot
  case refusalTooOld, refusedWhileReplicating, refusalOfEarlierProbe, refusalBelowBase, gapProbed
  case oldTermNotCounted, windowIsFull, reconnectedDuringSnapshot
  // Replication: the follower
  case appendBelowBase, appendKnownAlready, appendRefusedFull, commitBeyondMessage
  case conflictTruncated, appendBehindGap, appendOnConflict, heartbeatCommitUnverified
  // Reads and leases
  case readWaitsForNoop, roundsConfirmedTogether, leaseForfeited, leaseInTransfer, leaseNotBegun
  case leaseOver
  // Membership
  case changeWaitsForChange, changeWaitsForNoop, removedAndBack, removalTold, removalIsHistory
  case learnerGivenUp, catchUpRoundTooLong
  // Snapshots: the engine
  case tailKeepsAll, chunkAnsweredTwice, snapshotBegunAgain, chunkRepeated
  case chunkBeforeTerm, chunkNotNeeded, snapshotOvertaken, chunkFromTheMiddle, chunkWhileStoring
  case chunkOutOfOrder, snapshotCommitsLog, snapshotRejected, installTooLate, installDropsLog
  case installDuringWrite, snapshotOutrun
  // Leadership transfer
  case transferWaits, transferTooLate, leaderIsFull, leaderHangs
  // The replica
  case readWithoutLease, writeRefusedFull, redirected, tooManyHeld, requestHeld, heldTooLong
  case diskHangs, diskIsFull, diskRecovers, writesLostLeader, readsLostLeader, writeTooLate
  case readTooLate, readWaitsForApply, appliedFromDisk, snapshotForestalled
  case snapshotNotWritten, ownSnapshotGivenUp, writerStillBusy, stateNotNeeded, receivedNotWritten
  case appendDeferred, appendFromDisk, appendReadInVain, probeRefused, probeMetAnother
  case probeMetTheSame, probeOfFormerProcess
  case clusterAdopted, joinDialsAgain, joinOfWipedNode, removeWouldLoseQuorum
  case moveNotConfirmed, moveConfirmed, moveReported, oldAddressesPassedOver
  case advertisementOutdated
  case clockBehind
  // Storage
  case logWaitsForTerm, logWaitsForSegment, segmentRotated, logSealed, segmentsRetiredTogether
  case segmentAllocated, segmentNotAllocated
  case readAcrossRewrite, truncationBelowBase, batchTruncated, truncatedBeyondMemory, recordsTorn
  case repetitionFound, takenFromRepetition, tornTailCut, secondSpareRemoved, resetAtStart
  case rotatedAtStart, hardStateSlotTorn, firstSlotStale, snapshotGivenUpAtTheEnd
  case noSpaceForSegment, ballastReleased, noSpaceForBallast, leftoverRemoved
  case writeCameBackShort, snapshotReplaced

  #if COVERAGE_MARKS
  /// Those that this build counts: all, or none.
  package static let counted = allCases
  /// How often each was hit since the last `reset`. One thread counts.
  package nonisolated(unsafe) private(set) static var counts = zeros
  package static func reset() { counts = zeros }
  private static var zeros: [Int] { Array(repeating: 0, count: allCases.count) }
  #else
  package static let counted: [CoverageMark] = []
  package static let counts: [Int] = []
  package static func reset() {}
  #endif

  @inline(__always)
  static func hit(_ mark: CoverageMark) {
    #if COVERAGE_MARKS
    counts[mark.rawValue] += 1
    #endif
  }
}
