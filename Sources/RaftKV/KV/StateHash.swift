/// A 128-bit fingerprint of the whole map, equal on every node that has applied the same entries.
package struct StateHash: Hashable, Sendable {
  package var high: UInt64
  package var low: UInt64
  package init(high: UInt64 = 0, low: UInt64 = 0) {
    self.high = high
    self.low = low
  }
}

/// The fingerprint at one index, as nodes compare it. Different versions are not compared.
package struct StateHashReport: Hashable, Sendable {
  package var version: UInt32
  package var index: LogIndex
  package var hash: StateHash
  package init(version: UInt32, index: LogIndex, hash: StateHash) {
    self.version = version
    self.index = index
    self.hash = hash
  }
}
