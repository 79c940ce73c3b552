import RaftKV

/// What must hold, each with the name that a failure shows.
package enum Invariant: String, Sendable {
  case oneLeaderPerTerm, logMatching, committedPrefix, leaderCompleteness, stateMachineSafety
  case durability, oneVotePerTerm, monotone, matchIndex, configurationStep, leaseBound, bounds
  case snapshotEquality, linearizability, staleReads, oneReplyPerRequest, http
  case transition
  case recovery, noFatalError, calm, liveness, convergence
  case contradiction
}

package struct Violation: Equatable, Sendable {
  package var invariant: Invariant
  package var message: String
  package var time: UInt64
}

/// What the whole cluster has done, as only a god sees it: every entry that ever was in a log,
/// which of them are committed, and what anybody has been told.
struct Checker {
  struct Known {
    /// A hash over the entry and all that precede it, so that one comparison compares two logs.
    var chain: UInt64
    /// Of a command: its key, and the value's number; 0 for a delete.
    var key: Int
    var value: UInt64
    var isCommand: Bool
    var configuration: Configuration?
  }

  struct Committed {
    var term: Term
    var chain: UInt64
    /// Under which leader it was first seen to be committed.
    var leaderTerm: Term
  }

  struct Version {
    var index: UInt64
    /// 0: deleted.
    var value: UInt64
  }

  struct Vote: Hashable {
    var voter: NodeID
    var term: Term
  }

  /// Looked up only; never iterated, so that its order cannot matter.
  var known: [EntryID: Known] = [:]
  /// `committed[i]` is entry i + 1.
  var committed: [Committed] = []
  /// By key: every version that it had, by index.
  var versions: [[Version]] = Array(repeating: [], count: 16)
  /// Values that are committed; every write has its own.
  var written: Set<UInt64> = []
  /// Who was asked by a leader to campaign, and for which term.
  var transfers: Set<Vote> = []
  var leaders: [Term: NodeID] = [:]
  var votes: [Vote: NodeID] = [:]
  var stateHashes: [LogIndex: StateHash] = [:]
  var snapshotHashes: [LogIndex: UInt64] = [:]
  /// The newest one that is committed.
  var configuration = Configuration.empty
  /// Terms that had a leader.
  var electionCount = 0

  // What clients were told

  /// The highest index that any client was told of.
  private(set) var acknowledged: UInt64 = 0
  private var acknowledgements: [(time: UInt64, index: UInt64)] = []
  var leaseBound: UInt64 = 0

  mutating func acknowledge(_ index: UInt64, at time: UInt64) {
    guard index > acknowledged else { return }
    acknowledged = index
    acknowledgements.append((time, index))
  }

  /// What had been acknowledged by then.
  func acknowledged(at time: UInt64) -> UInt64 {
    var low = 0
    var high = acknowledgements.count
    while low < high {
      let middle = (low + high) / 2
      if acknowledgements[middle].time <= time { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? 0 : acknowledgements[low - 1].index
  }

  /// The version of `key` after entry `index`: the last one at or before it.
  func version(of key: Int, at index: UInt64) -> Version? {
    let position = position(of: key, after: index)
    return position == 0 ? nil : versions[key][position - 1]
  }

  /// The position of the first version of `key` behind entry `index`.
  private func position(of key: Int, after index: UInt64) -> Int {
    var low = 0
    var high = versions[key].count
    while low < high {
      let middle = (low + high) / 2
      if versions[key][middle].index <= index { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Whether `value` (0: nothing) was what `key` had after some entry in `low ... high`.
  func wasTrue(_ key: Int, _ value: UInt64, from low: UInt64, through high: UInt64) -> Bool {
    if (version(of: key, at: low)?.value ?? 0) == value { return true }
    var position = position(of: key, after: low)
    while position < versions[key].count, versions[key][position].index <= high {
      if versions[key][position].value == value { return true }
      position += 1
    }
    return false
  }

  static func mix(_ hash: UInt64, _ value: UInt64) -> UInt64 {
    var mixed = (hash ^ value) &* 0xff51_afd7_ed55_8ccd
    mixed ^= mixed >> 33
    mixed = mixed &* 0xc4ce_b9fe_1a85_ec53
    return mixed ^ (mixed >> 29)
  }
}

/// One node's log as the checker has read it.
struct LogMirror {
  struct Item {
    var term: Term
    /// As in `Checker.Known`.
    var chain: UInt64
  }

  /// Entries at or before it are not mirrored.
  private(set) var base: LogIndex
  private var items: [Item] = []

  init(base: LogIndex) { self.base = base }

  var last: LogIndex { base + items.count }

  func item(at index: LogIndex) -> Item? {
    guard index > base, index <= last else { return nil }
    return items[index - base - 1]
  }

  mutating func append(_ item: Item) { items.append(item) }

  mutating func truncate(after index: LogIndex) {
    guard index < last else { return }
    items.removeLast(last - max(index, base))
  }

  mutating func reset(to index: LogIndex) {
    base = index
    items.removeAll(keepingCapacity: true)
  }

  mutating func compact(through index: LogIndex) {
    // In portions: removing from the front moves the rest.
    guard index > base, index - base > 256, index <= last else { return }
    items.removeFirst(index - base)
    base = index
  }
}
