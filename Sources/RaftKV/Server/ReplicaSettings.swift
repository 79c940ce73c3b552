/// What an operator chooses for one node, and the limits behind it.
package struct ReplicaSettings: Sendable {
  package var name: String
  /// What others are told: `host:port`, never a wildcard.
  package var raftAddress: String
  package var httpAddress: String
  package var version: String
  package var parameters = Parameters()
  /// A snapshot is due when the log since the last one has this many entries …
  package var snapshotEntries = 100_000
  /// … and at least this many bytes, or the last snapshot's size if that is more: taking one must
  /// cost less than what it saves.
  package var snapshotBytes = 64 << 20
  /// Whatever the number of entries: the log is not let grow beyond this.
  package var snapshotBytesLimit = 1 << 30
  /// Entries before a snapshot that stay, for followers a little behind (F7).
  #if FAILPOINTS
  /// Little, so that logs are compacted and followers need snapshots while somebody looks on.
  package var keptTailBytes = 16 << 10
  #else
  package var keptTailBytes = 64 << 20
  #endif
  package var maximumValueSize = 1 << 20

  /// A write that has not committed after this long gets 504: its outcome is unknown.
  package var writePatience = Interval.seconds(10)
  /// Requests held while leadership moves: enough for a burst, few enough to redirect in one turn.
  package var maximumHeld = 1024
  /// After a start requests wait at least this long for a leader to be heard.
  package var startPatience = Interval.seconds(2)
  /// Reads waiting for a round, and the bytes of their keys. Beyond these, 503.
  package var maximumPendingReads = 65_536
  package var maximumPendingReadBytes = 16 << 20
  /// A read that no quorum has confirmed after this long is given up: 503.
  package var readPatience = Interval.seconds(10)
  /// Appends to one follower that wait for entries to be read from disk: the engine's window, and
  /// what probes for gaps in the meantime. What exceeds it is dropped; the engine asks again.
  package var maximumDeferred = 512
  /// Joins and removes waiting for their turn.
  package var maximumQueuedChanges = 16
  /// An address given to `/join` must answer within this.
  package var discoveryPatience = Interval.seconds(3)
  /// Time that one turn may spend on applying entries or encoding a snapshot before the loop polls
  /// again: heartbeats and reads go on meanwhile (F6, H3).
  package var sliceBudget = Interval.milliseconds(2)
  /// Bytes of a snapshot encoded or read at a time.
  package var snapshotSliceBytes = 256 << 10
  /// A snapshot that could not be written is tried again after this; on a full
  /// disk, one is tried this often.
  package var snapshotRetry = Interval.seconds(10)
  /// Entries between two remembered state hashes.
  package var stateHashInterval = 1024

  package init(name: String, raftAddress: String, httpAddress: String, version: String) {
    self.name = name
    self.raftAddress = raftAddress
    self.httpAddress = httpAddress
    self.version = version
  }
}
