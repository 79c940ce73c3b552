/// Everything that the entries up to `appliedIndex` have made: a value, so that a snapshot is an
/// assignment. The index and the state move together (F9).
package struct KeyValueState {
  package internal(set) var map = OrderedMap()
  package internal(set) var appliedIndex = LogIndex.zero
  /// Milliseconds since 1970, as the proposers' clocks had it; never goes back.
  package internal(set) var clock: UInt64 = 0
  /// Invariant: equals StateHash(of: map).
  package internal(set) var stateHash = StateHash()
  package internal(set) var tombstones = Tombstones()

  package init() {}
}
