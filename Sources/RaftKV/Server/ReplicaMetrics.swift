/// What a replica counts in the course of its life.
package struct ReplicaMetrics {
  package var writes = WriteStages()
  /// A `consistent` read, or a `default` one without a lease, from arrival to answer.
  package let confirm = Histogram()
  package var preVotes: UInt64 = 0
  package var elections: UInt64 = 0
  package var electionsWon: UInt64 = 0
  package var leaderChanges: UInt64 = 0
  package var stepDowns: UInt64 = 0
  package var snapshotsTaken: UInt64 = 0
  package var snapshotsInstalled: UInt64 = 0
  package var snapshotsSent: UInt64 = 0
  package var appliedEntries: UInt64 = 0
  package private(set) var peers: [PeerTimes] = []

  /// Linear: a cluster has at most seven members.
  package struct PeerTimes {
    package let id: NodeID
    package let roundTrip = Histogram()
    /// The newest round that was sent. One that is sent again gets no answer.
    var newest: UInt64 = 0
    /// The heartbeat whose answer is awaited.
    var round: UInt64 = 0
    var sentAt: Instant?
  }

  /// A heartbeat of this round is sent. One at a time is measured; one whose answer was lost is
  /// given up when another leaves after a second.
  mutating func didSendHeartbeat(_ round: UInt64, to peer: NodeID, at now: Instant) {
    let position: Int
    if let found = peers.firstIndex(where: { $0.id == peer }) {
      position = found
    } else {
      position = peers.count
      peers.append(PeerTimes(id: peer))
    }
    guard round > peers[position].newest else { return }
    peers[position].newest = round
    if let sentAt = peers[position].sentAt, now - sentAt < .seconds(1) { return }
    peers[position].round = round
    peers[position].sentAt = now
  }

  mutating func didReceiveHeartbeatReply(_ round: UInt64, from peer: NodeID, at now: Instant) {
    guard let position = peers.firstIndex(where: { $0.id == peer }),
      let sentAt = peers[position].sentAt, round >= peers[position].round
    else { return }
    peers[position].roundTrip.observe(now - sentAt)
    peers[position].sentAt = nil
  }

  /// Members come and go; what is said of those that are gone goes too.
  mutating func keepPeers(_ isMember: (NodeID) -> Bool) { peers.removeAll { !isMember($0.id) } }

  /// Leadership begins or is over: answers to what was sent before tell nothing.
  mutating func forgetHeartbeats() {
    for position in peers.indices {
      peers[position].newest = 0
      peers[position].sentAt = nil
    }
  }

  mutating func count(_ notice: Notice) {
    switch notice {
    case .roleChanged(let role, _, let leader):
      switch role {
      case .preCandidate: preVotes += 1
      case .candidate: elections += 1
      case .leader:
        electionsWon += 1
        leaderChanges += 1
      case .follower: if leader != .none { leaderChanges += 1 }
      }
    case .steppedDown: stepDowns += 1
    case .followerNeedsSnapshot: snapshotsSent += 1
    default: break
    }
  }
}
