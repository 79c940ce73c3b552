/// Which message goes where. Every message is first judged by its term (§5.1), then by the role.
extension Raft {
  package mutating func receive(
    _ envelope: Envelope, at now: Instant, into effects: inout Effects
  ) {
    // A message for another life of this node, or an echo of our own, is none of ours (B15).
    guard envelope.to == id, envelope.from != id else { return }
    switch envelope.message {
    case .voteRequest(let request):
      receive(request, from: envelope.from, term: envelope.term, at: now, into: &effects)
      return
    case .voteReply(let reply):
      receive(reply, from: envelope.from, term: envelope.term, at: now, into: &effects)
      return
    default: break
    }
    if envelope.term < currentTerm { return answerStale(envelope) }
    if envelope.term > currentTerm {
      become(.follower, in: envelope.term, because: .higherTerm, at: now, into: &effects)
    }
    if role == .leader {
      receiveAsLeader(envelope, at: now, into: &effects)
    } else {
      receiveAsFollower(envelope, at: now, into: &effects)
    }
  }

  /// A leader of a past term learns from our term that it is deposed; so does one that cannot
  /// otherwise hear of a node stranded at a higher term (A11).
  private mutating func answerStale(_ envelope: Envelope) {
    switch envelope.message {
    case .append, .heartbeat, .snapshotChunk:
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
    case .timeoutNow, .removed, .diverged, .voteRequest, .voteReply:
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
      follow(envelope.from, at: now, into: &effects)
      receive(heartbeat)
    case .snapshotChunk(let chunk):
      follow(envelope.from, at: now, into: &effects)
      receive(chunk, into: &effects)
    case .timeoutNow:
      // The log check of the election itself still applies (E4).
      guard mayCampaign, envelope.from == leader else { return }
      campaign(isTransfer: true, at: now, into: &effects)
    case .removed(let index):
      learnRemoval(by: index, into: &effects)
      stopCampaigning(at: now, into: &effects)
    case .appendReply, .heartbeatReply, .snapshotReply, .voteRequest, .voteReply, .diverged:
      break  // Late answers to a leadership that is over.
    }
  }
}
