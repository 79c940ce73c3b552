/// The fingerprints at the last multiples of an interval, so that nodes at different indexes find
/// one that they all know.
package struct StateHashHistory {
  /// Every 1024 entries a comparison is cheap beside the entries themselves.
  package static let defaultInterval: UInt64 = 1024
  /// A follower may lag behind by 64 intervals and still be compared.
  package static let capacity = 64

  package let interval: UInt64
  /// The slot of index i is (i / interval) mod capacity; an index of zero marks an unused slot.
  private var reports: [StateHashReport]
  package private(set) var latest: StateHashReport?

  package init(interval: UInt64 = StateHashHistory.defaultInterval) {
    precondition(interval > 0, "the interval is at least one entry")
    self.interval = interval
    let unused = StateHashReport(version: 0, index: .zero, hash: StateHash())
    reports = Array(repeating: unused, count: Self.capacity)
  }

  /// Remembers the state after the entry at `index`, where that is a multiple of the interval.
  package mutating func record(_ hash: StateHash, at index: LogIndex) {
    guard index.rawValue % interval == 0, index > .zero else { return }
    let report = StateHashReport(version: StateHash.version, index: index, hash: hash)
    reports[slot(of: index)] = report
    latest = report
  }

  package func report(at index: LogIndex) -> StateHashReport? {
    let report = reports[slot(of: index)]
    return report.index == index && index > .zero ? report : nil
  }

  private func slot(of index: LogIndex) -> Int {
    Int(index.rawValue / interval % UInt64(Self.capacity))
  }
}
