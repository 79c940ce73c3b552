import RaftKV

/// The one notation for what happens: `n1@2 -> n3 Append previous=4@1 [5@2] commit=4 round=1`.
extension RaftHarness {
  static func name(_ id: NodeID) -> String { id == .none ? "nobody" : "n\(id.rawValue)" }

  func note(_ line: String) {
    if isTracing { trace.append(line) }
  }

  func note(_ envelope: Envelope) {
    guard isTracing else { return }
    let from = Self.name(envelope.from)
    let to = Self.name(envelope.to)
    note("\(from)@\(envelope.term) -> \(to) \(describe(envelope.message))")
  }

  func describe(_ hardState: HardState) -> String {
    "term=\(hardState.currentTerm) vote=\(Self.name(hardState.votedFor))"
  }

  func describe(_ message: Message) -> String {
    switch message {
    case .voteRequest(let request):
      let verb = request.phase == .preVote ? "PreVote" : "Vote"
      return "\(verb) last=\(request.lastEntry)" + (request.isTransfer ? " transfer" : "")
    case .voteReply(let reply):
      let verb = reply.phase == .preVote ? "PreVoteReply" : "VoteReply"
      return "\(verb) \(reply.granted ? "yes" : "no")"
    case .append(let request):
      let entries = request.entries.enumerated().map { offset, header in
        EntryID(index: request.previous.index + (offset + 1), term: header.term).description
      }
      return "Append previous=\(request.previous) [\(entries.joined(separator: " "))]"
        + " commit=\(request.leaderCommit) round=\(request.round)"
    case .appendReply(let reply):
      switch reply.outcome {
      case .matched(let index): return "Matched \(index) round=\(reply.round)"
      case .conflict(let previous, let hint): return "Conflict \(previous) hint=\(hint)"
      case .full(let previous): return "Full \(previous)"
      }
    case .heartbeat(let heartbeat):
      return "Heartbeat commit=\(heartbeat.commit) round=\(heartbeat.round)"
    case .heartbeatReply(let reply):
      return "HeartbeatReply round=\(reply.round)" + (reply.isFull ? " full" : "")
    case .timeoutNow: return "TimeoutNow"
    case .snapshotChunk(let chunk):
      return "Chunk of \(chunk.lastEntry) \(chunk.offset)+\(chunk.size)/\(chunk.total)"
    case .snapshotReply(let reply):
      return "ChunkReply of \(reply.lastEntry) offset=\(reply.offset)"
    case .removed(let index): return "Removed by=\(index)"
    case .diverged(let index): return "Diverged at=\(index)"
    case .moved(let report): return "Moved \(report.member) to \(report.raftAddress)"
    }
  }

  func note(_ notice: Notice, at node: Node) {
    guard isTracing else { return }
    switch notice {
    case .roleChanged(let role, let term, let leader):
      let of = role == .follower && leader != .none ? " of \(Self.name(leader))" : ""
      note("\(node.name) is \(role)\(of) in term \(term)")
    case .steppedDown(_, let reason): note("\(node.name) steps down: \(reason)")
    case .configurationChanged(let index):
      let members = node.raft.configuration.members.map {
        Self.name($0.id) + ($0.role == .learner ? "*" : "")
      }
      note("\(node.name) has configuration \(index): \(members.joined(separator: " "))")
    case .wasRemoved(let index): note("\(node.name) was removed by \(index)")
    case .transferStarted(let target): note("\(node.name) hands over to \(Self.name(target))")
    case .transferAborted(let target): note("\(node.name) gives up on \(Self.name(target))")
    case .followerNeedsSnapshot(let peer):
      note("\(node.name) begins a snapshot for \(Self.name(peer))")
    case .learnerStalled(let peer): note("\(node.name) drops the learner \(Self.name(peer))")
    }
  }
}
