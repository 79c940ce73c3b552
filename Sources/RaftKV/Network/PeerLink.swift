/// What we hold with one other node: its connections, and the plan for the next dial.
final class PeerLink {
  let id: NodeID
  /// Nil while it is no member that we know of: it dialled us.
  var peer: Peer?
  /// The established connections.
  var messages: PeerConnection?
  var snapshots: PeerConnection?
  /// The dials under way.
  var messagesAttempt: PeerConnection?
  var snapshotsAttempt: PeerConnection?
  /// A chunk that waits for the snapshot connection. One is unacknowledged at a time, so a
  /// newer one takes its place.
  var heldChunk = ByteBuffer()
  /// When to dial next, if there is still no connection then.
  var nextDial: Instant
  var nextSnapshotDial = Instant.zero
  /// The wait before the dial after next.
  var backoff = PeerLink.firstBackoff
  /// What the process said that we were connected to last.
  var lastHello: Hello?
  var probe: Inquiry?
  /// When the connections of a node that is no member are dropped.
  var expiry = Instant.distantFuture

  /// A restarted process is back in about this time.
  static let firstBackoff = Interval.milliseconds(50)
  /// A node that bootstraps listens for two seconds to hear whether anyone knows it: every peer
  /// must have dialled by then.
  static let longestBackoff = Interval.milliseconds(900)

  init(id: NodeID, nextDial: Instant) {
    self.id = id
    self.nextDial = nextDial
  }

  var isIdle: Bool {
    messages == nil && snapshots == nil && messagesAttempt == nil && snapshotsAttempt == nil
  }

  /// When time next does something to this link.
  var nextDeadline: Instant {
    let dial =
      peer != nil && messages == nil && messagesAttempt == nil ? nextDial : .distantFuture
    return min(dial, isIdle && peer == nil ? .distantFuture : expiry)
  }

  /// The wait before the next dial: doubled each time, with jitter so that two nodes do not dial
  /// each other in step for ever (J3).
  func nextBackoff(using random: inout Random) -> Interval {
    let wait = random.interval(
      from: backoff, to: Interval(nanoseconds: backoff.nanoseconds / 10 * 11))
    backoff = min(backoff * 2, Self.longestBackoff)
    return wait
  }
}
