/// What a node holds for others at one moment: everything that could grow. The simulator holds it
/// against the limits after every event; production never asks.
package struct ReplicaLoad: Equatable, Sendable {
  package var writes = 0
  package var reads = 0
  package var heldRequests = 0
  /// Of the peer for which most are waiting.
  package var deferredMessages = 0
  package var membershipChanges = 0
  package var messagesBehindHardState = 0
  package var openRounds = 0
  package var confirmedLater = 0
  package var uncommittedBytes = 0
  /// Of the member to which most are under way.
  package var messagesInFlight = 0
  package var bytesInFlight = 0
  package var openSnapshots = 0

  /// What is not done in a cluster at rest, in words; nil if nothing is.
  package var waiting: String? {
    writes + reads + heldRequests + deferredMessages + membershipChanges + messagesBehindHardState
      + confirmedLater + uncommittedBytes + messagesInFlight + bytesInFlight + openSnapshots == 0
      ? nil : "\(self)"
  }
}

extension Replica {
  package var load: ReplicaLoad {
    var load = ReplicaLoad()
    load.writes = writes.count
    load.reads = reads.count
    load.heldRequests = heldCount
    for waiting in deferred.values {
      load.deferredMessages = max(load.deferredMessages, waiting.count)
    }
    load.membershipChanges =
      administration.waiting.count + (administration.current == nil ? 0 : 1)
    load.messagesBehindHardState = raft.outbox.count
    load.openSnapshots =
      sending.count + (outgoing == nil ? 0 : 1) + (incoming == nil ? 0 : 1)
    guard let leadership = raft.leadership else { return load }
    load.openRounds = leadership.roundTimes.count
    load.confirmedLater = leadership.pendingReads.count
    load.uncommittedBytes = raft.outline.bytes(after: raft.commitIndex, through: raft.lastIndex)
    for progress in leadership.progress {
      load.messagesInFlight = max(load.messagesInFlight, progress.messagesInFlight)
      load.bytesInFlight = max(load.bytesInFlight, progress.bytesInFlight)
    }
    return load
  }
}
