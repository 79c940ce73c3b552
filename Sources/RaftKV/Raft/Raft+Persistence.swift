/// What is durable, and when the engine learns of it. Disk work is asynchronous; its completion
/// is an event like any other.
extension Raft {
  /// A log write handed to the disk and not yet completed, oldest first.
  struct LogWrite: Equatable {
    var ticket: UInt64
    /// The last index that its completion makes durable. Lowered when a later edit truncates it:
    /// the completion of an old write must not mark what replaced it as durable, not even when
    /// index and term are the same again (ABA; B10).
    var lastIndex: LogIndex
  }

  package mutating func didPersistHardState(
    _ hardState: HardState, at now: Instant, into effects: inout Effects
  ) {
    precondition(hardStateInFlight == hardState, "one hard-state write at a time")
    hardStateInFlight = nil
    durableHardState = hardState
    guard isHardStateDurable else { return CoverageMark.hit(.hardStateOvertaken) }
    didPersistOwnVote(at: now, into: &effects)
  }

  /// The log write with this ticket, and every earlier one, is on stable storage.
  package mutating func didPersist(ticket: UInt64, at now: Instant, into effects: inout Effects) {
    while let write = logWrites.first, write.ticket <= ticket {
      logWrites.removeFirst()
      persistedIndex = max(persistedIndex, write.lastIndex)
      #if PLANTED_BUGS
      persistedIndex = min(persistedIndex, lastIndex)
      #endif
    }
    precondition(persistedIndex <= lastIndex, "durable beyond the log")
    if role == .leader { advanceCommitIndex(at: now, into: &effects) }
  }

  mutating func hardStateToWrite() -> HardState? {
    guard hardStateInFlight == nil, !isHardStateDurable else { return nil }
    hardStateInFlight = hardState
    return hardState
  }

  /// A ticket for all edits so far, unless the term they belong to is not durable yet.
  mutating func logToWrite() -> UInt64? {
    #if PLANTED_BUGS
    let mayWrite =
      isHardStateDurable || hasUnwrittenEdits && PlantedBug.logBeforeTerm.isActive
    #else
    let mayWrite = isHardStateDurable
    #endif
    guard hasUnwrittenEdits, mayWrite else { return nil }
    hasUnwrittenEdits = false
    lastTicket += 1
    logWrites.append(LogWrite(ticket: lastTicket, lastIndex: lastIndex))
    return lastTicket
  }

  /// Drops our entries after `index`, which conflict with the leader's (§5.3).
  mutating func truncate(after index: LogIndex, into effects: inout Effects) {
    // What is committed is never taken back (B2). Crash rather than lie.
    precondition(index >= commitIndex, "cannot truncate a committed entry")
    outline.truncate(after: index)
    persistedIndex = min(persistedIndex, index)
    for position in logWrites.indices {
      #if PLANTED_BUGS
      let isCut = logWrites[position].lastIndex > index
      if isCut, PlantedBug.oldWriteCountsForNew.isActive { break }
      #endif
      if logWrites[position].lastIndex > index { CoverageMark.hit(.writeTruncatedInFlight) }
      logWrites[position].lastIndex = min(logWrites[position].lastIndex, index)
    }
    verifiedIndex = min(verifiedIndex, index)
    effects.logEdits.append(.truncate(after: outline.lastEntry))
    hasUnwrittenEdits = true
    #if PLANTED_BUGS
    let isConfigurationCut = configurations.currentIndex > index
    if isConfigurationCut, PlantedBug.configurationNotRolledBack.isActive { return }
    #endif
    guard configurations.truncate(after: index) else { return }
    CoverageMark.hit(.configurationTakenBack)
    didChangeConfiguration(into: &effects)
  }
}
