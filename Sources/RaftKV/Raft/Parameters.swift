/// The engine's knobs. Times are on one node's own clock; clocks may differ in
/// rate by up to ten percent.
package struct Parameters: Equatable, Sendable {
  /// How often a leader makes itself heard.
  package var heartbeatInterval = Interval.milliseconds(50)
  /// The shortest silence after which a follower may campaign; each wait is
  /// drawn from 1x to 2x (A13).
  package var electionTimeout = Interval.milliseconds(300)
  /// Entry bytes in one AppendEntries, unless a single entry is larger: a frame must not delay the
  /// heartbeats behind it for long.
  package var maximumAppendBytes = 1 << 20
  /// Entry bytes sent to one follower and not yet acknowledged while replicating.
  package var windowBytes = 8 << 20
  /// AppendEntries sent to one follower and not yet acknowledged: bounds the
  /// bookkeeping, not the flow.
  package var windowMessages = 256
  /// Proposed and not yet committed: a leader cut off from its followers must not grow without
  /// bound (B14): the log keeps in memory whatever is not applied.
  package var uncommittedBytes = 64 << 20
  /// Bytes of one snapshot chunk: large enough to be efficient one at a time, small
  /// enough to read in one turn.
  package var snapshotChunkBytes = 256 << 10
  /// A learner that makes no progress for this long is removed again.
  package var learnerPatience = Interval.seconds(10)

  package init() {}

  /// How long a leader may answer reads after the send time of a heartbeat that a quorum
  /// acknowledged. A voter that hears a leader grants nothing for one election timeout of its
  /// own clock. With rates between 0.9 and 1.1 of true time that is at least 1/1.1 of it, and
  /// our lease runs at most 1/0.9 of its length: L < 0.9/1.1 = 0.81 election timeouts. Three
  /// quarters leaves a margin (C4).
  package var leaseDuration: Interval {
    #if PLANTED_BUGS
    if PlantedBug.leaseIgnoresDrift.isActive { return electionTimeout }
    if PlantedBug.leaseOutlastsElection.isActive { return electionTimeout * 2 }
    #endif
    return electionTimeout * 3 / 4
  }
}
