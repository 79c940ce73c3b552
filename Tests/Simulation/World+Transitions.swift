import RaftKV

/// Every step of every node is held against the specification's transition relation.
extension World {
  /// After the log has been looked at, and before the commit index is: what is committed here for
  /// the first time is still unknown.
  func checkTransition(_ host: Host, _ process: Process) {
    let new = state(of: process)
    guard let old = process.specified else {
      process.specified = new
      return
    }
    guard new != old else { return }
    process.specified = new
    if let why = transitions.step(from: old, to: new, facts(of: process)) {
      fail(.transition, "\(host.name): \(why)")
    }
  }

  func checkSending(_ envelope: Envelope, _ host: Host) {
    guard let process = host.process, process.replica.raft.id == envelope.from else { return }
    let why = transitions.didSend(envelope, by: state(of: process), facts(of: process))
    if let why { fail(.transition, "\(host.name): \(why)") }
  }

  private func state(of process: Process) -> TransitionRelation.State {
    let replica = process.replica
    return TransitionRelation.State(
      role: replica.raft.role, term: replica.raft.currentTerm, votedFor: replica.raft.votedFor,
      last: replica.raft.outline.lastEntry, commit: replica.raft.commitIndex)
  }

  private func facts(of process: Process) -> TransitionRelation.Facts {
    let replica = process.replica
    var voters = [replica.raft.configuration.voters]
    if let previous = replica.raft.configurations.previous { voters.append(previous.voters) }
    return TransitionRelation.Facts(
      id: replica.raft.id, voters: voters, persisted: replica.raft.persistedIndex,
      isHardStateDurable: replica.raft.isHardStateDurable,
      committed: LogIndex(UInt64(checker.committed.count)),
      term: { process.replica.raft.outline.term(at: $0) })
  }
}
