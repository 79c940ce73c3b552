/// What no peer that follows the rules can say to us, whatever was lost, late or repeated on the
/// way.
///
/// Its sender is broken, or lies. To act on it would break what we have promised others, and to
/// trap would let one sick node take the healthy ones with it: so it is not heard at all, and the
/// driver hangs up on its sender. In a simulation, where nobody lies, it is a bug.
package struct Contradiction: Equatable, Sendable {
  package enum Claim: Equatable, Sendable {
    /// Another node leads in the term in which its sender claims to (§5.2).
    case secondLeader(Term)
    /// Its sender leads without having what is committed here (§5.4), which ends with this entry.
    case lacksCommitted(EntryID)
    /// A snapshot up to this entry that no leader of the message's term can have.
    case impossibleSnapshot(EntryID)
    /// It has entries of ours that we never had.
    case matchBeyondLog(LogIndex)
    /// It votes for us in a term in which we have asked nobody yet.
    case unaskedVote(Term)
  }
  package var sender: NodeID
  package var claim: Claim
}

extension Contradiction.Claim: CustomStringConvertible {
  package var description: String {
    switch self {
    case .secondLeader(let term): "it claims to lead term \(term), in which another node does"
    case .lacksCommitted(let entry):
      "it claims to lead without the entries that are committed here, up to \(entry)"
    case .impossibleSnapshot(let entry): "it sends a snapshot of \(entry), which cannot be"
    case .unaskedVote(let term): "it votes for us in term \(term), and was not asked"
    case .matchBeyondLog(let index): "it claims to have our entry \(index), which we never had"
    }
  }
}

extension Raft {
  /// The contradiction between a message of this or a later term and what we know; nil for one that
  /// can be.
  func contradiction(in envelope: Envelope) -> Contradiction.Claim? {
    switch envelope.message {
    case .append(let request):
      return rivalry(with: envelope) ?? contradiction(in: request)
    case .snapshotChunk(let chunk):
      return rivalry(with: envelope) ?? contradiction(in: chunk, term: envelope.term)
    case .heartbeat:
      return rivalry(with: envelope)
    case .appendReply(let reply):
      guard role == .leader, envelope.term == currentTerm, case .matched(let index) = reply.outcome,
        index > lastIndex, configuration.contains(envelope.from)
      else { return nil }
      return .matchBeyondLog(index)
    case .voteReply(let reply):
      // Nobody is asked before our own vote is durable (A1).
      guard role == .candidate, envelope.term == currentTerm, reply.phase == .vote, reply.granted,
        !isHardStateDurable
      else { return nil }
      return .unaskedVote(currentTerm)
    case .voteRequest, .heartbeatReply, .timeoutNow, .snapshotReply, .removed, .diverged, .moved:
      return nil
    }
  }

  /// At most one leader per term: who speaks as one is the one we know, or the first we hear of.
  private func rivalry(with envelope: Envelope) -> Contradiction.Claim? {
    guard envelope.term == currentTerm else { return nil }
    let isRival = role == .leader || (leader != .none && leader != envelope.from)
    return isRival ? .secondLeader(currentTerm) : nil
  }

  /// A leader's log agrees with everything that is committed here (§5.4.3). What we have compacted
  /// we can no longer compare, but for the last of it.
  private func contradiction(in request: AppendRequest) -> Contradiction.Claim? {
    func isContradicted(at index: LogIndex, _ term: Term) -> Bool {
      index <= commitIndex && index >= outline.base.index && outline.term(at: index) != term
    }
    // Hot path: what a leader sends begins behind what is committed.
    guard request.previous.index <= commitIndex else { return nil }
    let committed = EntryID(index: commitIndex, term: outline.term(at: commitIndex)!)
    if isContradicted(at: request.previous.index, request.previous.term) {
      return .lacksCommitted(committed)
    }
    let first = max(0, outline.base.index - request.previous.index - 1)
    let end = min(request.entries.count, commitIndex - request.previous.index)
    for position in min(first, end)..<end
    where isContradicted(
      at: request.previous.index + (position + 1), request.entries[position].term)
    {
      return .lacksCommitted(committed)
    }
    return nil
  }

  /// A snapshot holds what is committed, so it agrees with what is committed here; and terms never
  /// fall along a log.
  private func contradiction(in chunk: SnapshotChunk, term: Term) -> Contradiction.Claim? {
    let last = chunk.lastEntry
    let known = outline.term(at: min(last.index, commitIndex))
    let agrees =
      last.index <= commitIndex ? known == nil || known == last.term : last.term >= known!
    guard agrees, last.term <= term else { return .impossibleSnapshot(last) }
    return nil
  }
}
