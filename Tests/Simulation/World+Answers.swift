import RaftKV

/// Whether a process may give the answer that it gives, at the moment it gives it.
///
/// The log is the order of all writes, and the checker knows it. So a read is right if and only if
/// what it returns was true after some entry between the last one that anybody had been told of
/// when the read was called, and the last one that is committed: that is linearizability, for every
/// key at once.
extension World {
  func judge(_ answer: Answer, to request: Request) {
    switch answer {
    case .written(let index): judgeWrite(index, request)
    case .deleted(let index, let existed):
      judgeWrite(index, request)
      let before = checker.version(of: request.key, at: index.rawValue - 1)?.value ?? 0
      if existed != (before != 0) {
        fail(.linearizability, "delete at \(index) says that the key existed: \(existed)")
      }
    case .value(let id, _, let staleness): judgeRead(id, staleness, request)
    case .notFound(let staleness): judgeRead(0, staleness, request)
    default: break
    }
  }

  private func judgeWrite(_ index: LogIndex, _ request: Request) {
    let position = Int(index.rawValue) - 1
    guard position < checker.committed.count,
      let known = checker.known[
        EntryID(index: index, term: checker.committed[position].term)]
    else {
      return fail(.durability, "a write is acknowledged at \(index), which is not committed")
    }
    var value: UInt64 = 0
    if case .put(let id, _) = request.action { value = id }
    if !known.isCommand || known.key != request.key || known.value != value {
      fail(.linearizability, "the write acknowledged at \(index) is another client's")
    }
    if let operation = clients[request.client].operation,
      clients[request.client].sequence == request.sequence,
      index.rawValue <= operation.acknowledgedAtCall
    {
      fail(.linearizability, "a write at \(index) comes before one acknowledged before its call")
    }
    checker.acknowledge(index.rawValue, at: now)
  }

  private func judgeRead(_ value: UInt64, _ staleness: Staleness?, _ request: Request) {
    guard case .get(let level) = request.action else {
      return fail(.oneReplyPerRequest, "a value answers something else than a read")
    }
    let newest = UInt64(checker.committed.count)
    switch level {
    case .stale:
      marks.hit(.staleRead)
      guard let index = staleness?.appliedIndex.rawValue else { return }
      if (checker.version(of: request.key, at: index)?.value ?? 0) != value {
        fail(.staleReads, "n\(request.host + 1) shows at \(index) what was not there then")
      }
    case .leaseBound:
      marks.hit(.leaseRead)
      // Without a lease it waits for a round, and is then true of when it began to wait: the round
      // may have been answered while the leader stood still.
      let leased = now > checker.leaseBound ? now - checker.leaseBound : 0
      let floor = checker.acknowledged(at: request.waitsSince ?? leased)
      if !checker.wasTrue(request.key, value, from: floor, through: newest) {
        fail(
          .leaseBound,
          "n\(request.host + 1) answers a default read of k\(request.key) with \(value), which was "
            + "overwritten more than the lease ago")
      }
    case .consistent:
      marks.hit(.roundRead)
      guard let operation = clients[request.client].operation,
        clients[request.client].sequence == request.sequence
      else { return }
      checkRound(request, calledAt: operation.calledAt)
      if !checker.wasTrue(
        request.key, value, from: operation.acknowledgedAtCall, through: newest)
      {
        fail(
          .linearizability,
          "n\(request.host + 1) answers a consistent read of k\(request.key) with \(value), which "
            + "was overwritten before the read was called")
      }
    }
  }
}
