#if PLANTED_BUGS
/// Mistakes that can be switched on, one at a time, to see whether the simulator finds them. Each
/// is one that a real system shipped, or could have.
///
/// None of this is in a product build: every site stands between `#if PLANTED_BUGS` and `#endif`.
/// `scripts/planted-bugs` makes the build that has them, and runs the simulator against each.
package enum PlantedBug: CaseIterable, Sendable {
  // Terms, votes, elections
  case voteBeforeDurable, candidacyBeforeDurable, logBeforeTerm
  case voteClearedOnStepDown, voteKeptAcrossTerms
  case upToDateByTermAlone, upToDateByIndexAlone
  case preVoteCountsAsVote, oldVoteReplyCounts, learnersVote, halfIsMajority
  case noPreVote, noCheckQuorum, strandedIgnored, heartbeatIsNoContact, noRestartWait
  // Replication and commit
  case truncatesAlways, acknowledgesOwnLast, commitUnchecked, heartbeatCommitsAll
  case oldTermAckCounts, oldTermCommit, refusalCommits, leaderCountsUnsynced
  case oldWriteCountsForNew, previousByIndexAlone, probeStopsAtBase, probeNeverRetried
  case gapNeverSeen, windowIgnored, noUncommittedLimit, heartbeatAcknowledges, appliesUncommitted
  // Reads and leases
  case readWithoutRound, readJoinsOldRound, readBeforeNoop, readBeforeApply, ticketsOutliveTerm
  case deposedServesReads, leaseFromReceipt, leaseOutlastsElection, clockCached, noStickiness
  case probeOutlivesProcess, staleIndexAhead
  // Membership
  case changeBeforeNoop, changeBeforeCommit, configurationNotRolledBack
  case configurationForgottenAtStart, promotedAtOnce, removalSaidTooEarly, readdedStaysRemoved
  case movesUnrecorded, learnersCount
  // Leadership transfer
  case transferNeverAborted, leaseOutlivesTransfer, staleTimeoutNow, transferSkipsLogCheck
  case transferRefusesAppended
  // Snapshots and compaction
  case snapshotHasNewestConfiguration, snapshotNotSynced, snapshotNameNotSynced
  case installDropsSuffix, installMovesBack, installBeforeDurable, installForgetsWrites
  case chunkNeverRepeated, tombstonesNotInstalled, snapshotUnchecked
  // Storage
  case ticketBeforeWrite, acknowledgesUnsynced, segmentNameNotSynced, segmentNotSynced
  case lastBatchNotRepeated, syncErrorIgnored, spaceNeverSought, checksumIgnored, tornTailNotCut
  case segmentsRemovedBackwards, truncationNotWritten, leftoversKept, hungDiskLeads
  case hardStateInOneSlot, damageCutAsTorn
  // Time and overload
  case stallNotExcused, clockFollowsProposer, leaseIgnoresDrift, heldUnbounded
  // Clients
  case lostWritesRefused, replyAtAppend, waitersOutliveTerm, fullDiskRefusesAppended

  /// The one that is switched on; nil: the code as it is meant. Set before anything else runs.
  package nonisolated(unsafe) static var active: PlantedBug?

  package static func named(_ name: Substring) -> PlantedBug? {
    allCases.first { "\($0)" == name }
  }

  /// The bugs that would have struck since this was emptied, one bit for each: their sites ask
  /// `isActive` last. A seed in which a bug's site is not reached need not be run with it.
  private nonisolated(unsafe) static var reached: (UInt64, UInt64) = (0, 0)

  package static func reset() { reached = (0, 0) }
  package var isReached: Bool {
    let bits = number < 64 ? Self.reached.0 : Self.reached.1
    return bits & 1 << UInt64(number % 64) != 0
  }
  /// Its position in `allCases`.
  package var number: Int { Int(unsafeBitCast(self, to: UInt8.self)) }

  /// To be asked last, where all else is as the bug needs it.
  @inline(__always)
  var isActive: Bool {
    let bit: UInt64 = 1 << UInt64(number % 64)
    if number < 64 { Self.reached.0 |= bit } else { Self.reached.1 |= bit }
    return Self.active == self
  }

  /// The rule that it breaks: a letter, the chapter, and a number.
  package var trap: String { String(story.prefix { $0 != " " }) }
  package var sentence: String { String(story.drop { $0 != " " }.dropFirst()) }

  private var story: String {
    switch self {
    case .voteBeforeDurable: "A1 A vote leaves before it is durable."
    case .candidacyBeforeDurable: "A1 Votes are asked for before our own is durable."
    case .logBeforeTerm: "A1 Entries of a term are written before the term is."
    case .voteClearedOnStepDown: "A2 The vote is cleared with the role, within a term."
    case .voteKeptAcrossTerms: "A2 The vote is not cleared when the term rises."
    case .upToDateByTermAlone: "A4 Logs are compared by their last terms alone."
    case .upToDateByIndexAlone: "A4 Logs are compared by their lengths alone."
    case .preVoteCountsAsVote: "A6 A late answer to the pre-vote counts in the election."
    case .oldVoteReplyCounts: "A6 A vote of an earlier term counts."
    case .learnersVote: "A7 Learners are asked for votes, and theirs count."
    case .noPreVote: "A9 No pre-vote: every silence raises the term."
    case .noCheckQuorum: "A10 A leader that nobody answers leads on."
    case .strandedIgnored: "A11 Messages of an old term are dropped without an answer."
    case .heartbeatIsNoContact: "A12 A heartbeat does not put the election off."
    case .halfIsMajority: "A15 Half of an even number of voters is a majority."
    case .noRestartWait: "A16 A restarted voter votes at once."
    case .truncatesAlways: "B1 Every append ends the log where its entries end."
    case .acknowledgesOwnLast: "B3 The follower acknowledges its own last index."
    case .commitUnchecked: "B4 The leader's commit index is believed beyond what was verified."
    case .heartbeatCommitsAll: "B4 Heartbeats commit whatever the follower has."
    case .oldTermAckCounts: "B5 Acknowledgements of an earlier term count."
    case .oldTermCommit: "B6 Entries of older terms are committed by counting."
    case .refusalCommits: "B7 A refused append moves the commit index."
    case .leaderCountsUnsynced: "B9 The leader counts itself before its own disk has the entry."
    case .oldWriteCountsForNew: "B10 A write counts for the entries that replaced its own."
    case .previousByIndexAlone: "B11 The entry before an append is looked up by index alone."
    case .probeStopsAtBase: "B12 Probing stops at the snapshot, and never sends one."
    case .probeNeverRetried: "B13 A lost probe is not repeated."
    case .gapNeverSeen: "B13 Entries lost on the way are not noticed."
    case .windowIgnored: "B13 The window of appends in flight has no end."
    case .noUncommittedLimit: "B14 A leader without a quorum takes writes without limit."
    case .heartbeatAcknowledges: "B16 The answer to a heartbeat acknowledges what was sent."
    case .appliesUncommitted: "B17 Entries are applied before they are committed."
    case .readWithoutRound: "C1 A leader answers consistent reads without asking anyone."
    case .readJoinsOldRound: "C1 A read is confirmed by a round that began before it came."
    case .readBeforeNoop: "C1 A new leader reads before it has committed in its term."
    case .readBeforeApply: "C1 A confirmed read does not wait for its index to be applied."
    case .ticketsOutliveTerm: "C2 What an earlier leadership confirmed counts in the next."
    case .deposedServesReads: "C3 A deposed leader answers the reads that it still has."
    case .leaseFromReceipt: "C4 The lease begins when the answers come, not when they were asked."
    case .leaseOutlastsElection: "C4 The lease is longer than an election takes."
    case .clockCached: "C5 The lease is judged by a clock that was read earlier."
    case .noStickiness: "C7 Votes are given though a leader is heard."
    case .probeOutlivesProcess: "C7 Who restarted while it was probed counts as dead when it leads."
    case .staleIndexAhead: "C8 A stale read claims a newer index than it shows."
    case .changeBeforeNoop: "D1 A leader changes the members before it has committed anything."
    case .changeBeforeCommit: "D1 A change of members does not wait for the one before."
    case .configurationNotRolledBack: "D3 A truncated configuration stays in force."
    case .configurationForgottenAtStart: "D4 A restart forgets configurations behind the snapshot."
    case .promotedAtOnce: "D5 A learner votes before it has caught up."
    case .removalSaidTooEarly: "D7 A node is told of its removal before that is committed."
    case .readdedStaysRemoved: "D8 Who was removed and let in again never campaigns."
    case .movesUnrecorded: "D12 A new address is not recorded."
    case .learnersCount: "D15 Learners count in the commit quorum."
    case .transferNeverAborted: "E1 A hand-over that fails is never given up."
    case .leaseOutlivesTransfer: "E2 The lease goes on while leadership is handed over."
    case .staleTimeoutNow: "E4 A TimeoutNow of any term and sender is obeyed."
    case .transferSkipsLogCheck: "E4 A hand-over wins votes whatever its log."
    case .transferRefusesAppended: "E5 A write during a hand-over is appended and refused."
    case .snapshotHasNewestConfiguration: "F1 A snapshot has a configuration from beyond its end."
    case .snapshotNotSynced: "F2 The log is compacted before the snapshot is synced."
    case .snapshotNameNotSynced: "F2 The log is compacted before the snapshot's name is synced."
    case .installDropsSuffix: "F3 An installed snapshot drops the entries behind it."
    case .installMovesBack: "F3 An older snapshot is installed."
    case .installBeforeDurable: "F4 A received snapshot is installed before it is durable."
    case .installForgetsWrites: "F5 Writes under way count though a snapshot replaced the log."
    case .chunkNeverRepeated: "F7 A lost chunk is not sent again."
    case .snapshotUnchecked: "F4 A snapshot is loaded whatever its checksums say."
    case .tombstonesNotInstalled: "F10 An installed snapshot loses the tombstones."
    case .ticketBeforeWrite: "G1 The log reports what it has not written."
    case .acknowledgesUnsynced: "G1 The follower acknowledges before its disk has the entries."
    case .segmentNameNotSynced: "G1 A new segment's name is not synced."
    case .segmentNotSynced: "G1 A new segment's zeros are not synced."
    case .lastBatchNotRepeated: "G2 A start believes the page cache."
    case .syncErrorIgnored: "G2 A failed sync of a snapshot is passed over."
    case .spaceNeverSought: "G3 A full disk is never asked again."
    case .checksumIgnored: "G5 Records are not checked against their checksum."
    case .damageCutAsTorn: "G6 Damage at the end of the log passes for a torn tail."
    case .tornTailNotCut: "G6 A torn tail is left where it is."
    case .truncationNotWritten: "G8 A truncation is not written to the log."
    case .segmentsRemovedBackwards: "G8 The newest of several old segments is removed first."
    case .leftoversKept: "G9 Temporary files are left lying at a start."
    case .hardStateInOneSlot: "G9 Term and vote count as durable in one of their two slots."
    case .hungDiskLeads: "G14 A leader whose disk hangs leads on."
    case .stallNotExcused: "H1 A process that stood still campaigns before it reads."
    case .clockFollowsProposer: "H4 The replicated clock goes back with a proposer's."
    case .leaseIgnoresDrift: "H5 The lease allows for no drift."
    case .heldUnbounded: "H6 Requests are held without limit."
    case .lostWritesRefused: "I1 A write whose leader fell is told that it was not accepted."
    case .fullDiskRefusesAppended: "I1 A write that finds the disk full is appended and refused."
    case .replyAtAppend: "I4 A write is answered when it is appended."
    case .waitersOutliveTerm: "I4 A client gets the answer to another's entry."
    }
  }
}
#endif
