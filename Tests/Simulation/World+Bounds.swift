import RaftKV

/// Nothing that a node holds grows without a limit, whatever the others do.
extension World {
  /// What a heartbeat every interval adds within the patience of those who wait for its answer.
  private static let roundsWithoutReads = 4096
  /// The engine's own: more messages do not wait for a hard state, more rounds not for their echo.
  private static let messagesBehindHardState = 1024
  private static let snapshots = 8

  func observeBounds(_ host: Host, _ process: Process) {
    let load = process.replica.load
    let parameters = swarm.parameters
    let largest = (swarm.valueSizes.max() ?? 0) + 512
    func check(_ value: Int, _ limit: Int, _ name: String) {
      if value > limit { fail(.bounds, "\(host.name): \(value) \(name), the limit is \(limit)") }
    }
    check(load.reads, swarm.maximumPendingReads, "reads")
    check(load.heldRequests, swarm.maximumHeld, "held requests")
    // One is the rest of what is being sent.
    check(load.deferredMessages, swarm.maximumDeferred + 1, "deferred messages")
    check(load.membershipChanges, 17, "membership changes")
    check(
      load.messagesBehindHardState, Self.messagesBehindHardState, "messages behind a hard state")
    check(load.openRounds, Self.roundsWithoutReads, "open rounds")
    check(load.messagesInFlight, parameters.windowMessages, "messages in flight")
    // The last message may reach beyond the window, by an entry or by a whole append.
    check(
      load.bytesInFlight, parameters.windowBytes + max(parameters.maximumAppendBytes, largest),
      "bytes in flight")
    check(load.openSnapshots, Self.snapshots, "open snapshots")
    if load.uncommittedBytes > load.writes { observeUncommitted(host, process, load) }
    // One for each file, and for what is being received, sent and replaced.
    check(host.disk.openFiles, host.disk.fileCount + 16, "open files")
  }

  /// A leader takes no proposals beyond the limit. What it found in its log, and what it must
  /// append itself, does not ask.
  private func observeUncommitted(_ host: Host, _ process: Process, _ load: ReplicaLoad) {
    guard let leadership = process.replica.raft.leadership else { return }
    let found = process.replica.raft.outline.bytes(
      after: max(process.replica.raft.commitIndex, leadership.firstEntry.index),
      through: process.replica.raft.lastIndex)
    let limit = swarm.parameters.uncommittedBytes + (swarm.valueSizes.max() ?? 0) + 8192
    if found > limit {
      fail(.bounds, "\(host.name): \(found) uncommitted bytes, the limit is \(limit)")
    }
  }
}
