/// Which message goes where. Every message is first judged by its term (§5.1), then by the role.
extension Raft {
  package mutating func receive(
    _ envelope: Envelope, at now: Instant, into effects: inout Effects
  ) {
    // A message for another life of this node, or an echo of our own, is none of ours (B15).
    guard envelope.to == id, envelope.from != id else { return }
    #if PLANTED_BUGS
    if envelope.message == .timeoutNow, role == .follower, mayCampaign,
      envelope.from != leader || envelope.term != currentTerm,
      PlantedBug.staleTimeoutNow.isActive
    {
      return campaign(isTransfer: true, at: now, into: &effects)
    }
    #endif
    switch envelope.message {
    case .voteRequest(let request):
      receive(request, from: envelope.from, term: envelope.term, at: now, into: &effects)
      return
    case .voteReply(let reply):
      if refute(envelope, into: &effects) { return }
      receive(reply, from: envelope.from, term: envelope.term, at: now, into: &effects)
      return
    default: break
    }
    #if PLANTED_BUGS
    if role == .leader, envelope.term < currentTerm, case .appendReply = envelope.message,
      PlantedBug.oldTermAckCounts.isActive
    {
      return receiveAsLeader(envelope, at: now, into: &effects)
    }
    #endif
    if envelope.term < currentTerm { return answerStale(envelope) }
    if refute(envelope, into: &effects) { return }
    if envelope.term > currentTerm {
      become(.follower, in: envelope.term, because: .higherTerm, at: now, into: &effects)
    }
    if role == .leader {
      receiveAsLeader(envelope, at: now, into: &effects)
    } else {
      receiveAsFollower(envelope, at: now, into: &effects)
    }
  }

  /// Whether a message cannot be, and so is not heard.
  private func refute(_ envelope: Envelope, into effects: inout Effects) -> Bool {
    guard let claim = contradiction(in: envelope) else { return false }
    effects.contradictions.append(Contradiction(sender: envelope.from, claim: claim))
    return true
  }

  /// A leader of a past term learns from our term that it is deposed; so does one that cannot
  /// otherwise hear of a node stranded at a higher term (A11).
  private mutating func answerStale(_ envelope: Envelope) {
    #if PLANTED_BUGS
    if PlantedBug.strandedIgnored.isActive { return }
    #endif
    switch envelope.message {
    case .append, .heartbeat, .snapshotChunk:
      CoverageMark.hit(.oldLeaderAnswered)
      send(
        .heartbeatReply(HeartbeatReply(round: 0, isFull: storage != .healthy)), to: envelope.from)
    default: break
    }
  }

  private mutating func receiveAsLeader(
    _ envelope: Envelope, at now: Instant, into effects: inout Effects
  ) {
    // Answers count only from members of the configuration in force (B5, D15).
    guard let peer = leadership!.index(of: envelope.from) else {
      CoverageMark.hit(.strangerHeard)
      return tellRemoved(envelope.from)
    }
    leadership!.progress[peer].lastContact = now
    switch envelope.message {
    case .appendReply(let reply):
      receive(reply, from: peer, at: now, into: &effects)
    case .heartbeatReply(let reply):
      receive(reply, from: peer, at: now, into: &effects)
    case .snapshotReply(let reply):
      receive(reply, from: peer, at: now, into: &effects)
    case .append, .heartbeat, .snapshotChunk:
      preconditionFailure("two leaders in term \(currentTerm)")
    case .timeoutNow, .removed, .diverged, .moved, .voteRequest, .voteReply:
      break
    }
  }

  private mutating func receiveAsFollower(
    _ envelope: Envelope, at now: Instant, into effects: inout Effects
  ) {
    switch envelope.message {
    case .append(let request):
      follow(envelope.from, at: now, into: &effects)
      receive(request, into: &effects)
    case .heartbeat(let heartbeat):
      #if PLANTED_BUGS
      let due = electionDeadline
      defer { if PlantedBug.heartbeatIsNoContact.isActive { electionDeadline = due } }
      #endif
      follow(envelope.from, at: now, into: &effects)
      receive(heartbeat)
    case .snapshotChunk(let chunk):
      follow(envelope.from, at: now, into: &effects)
      receive(chunk, into: &effects)
    case .timeoutNow:
      // The log check of the election itself still applies (E4).
      guard mayCampaign, envelope.from == leader else {
        return CoverageMark.hit(.timeoutNowIgnored)
      }
      campaign(isTransfer: true, at: now, into: &effects)
    case .removed(let index):
      learnRemoval(by: index, into: &effects)
      stopCampaigning(at: now, into: &effects)
    case .appendReply, .heartbeatReply, .snapshotReply, .voteRequest, .voteReply, .diverged,
      .moved:
      break  // Late answers to a leadership that is over.
    }
  }
}
