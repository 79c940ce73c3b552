/// What consensus knows of the log: the term and size of each entry, never its bytes.
///
/// ```
///   compacted ──┤ base │ first … last │
///   terms are kept as runs: (first index, term); sizes as running totals
/// ```
package struct LogOutline: Equatable, Sendable {
  private struct Run: Equatable, Sendable {
    var first: LogIndex
    var term: Term
  }

  /// The last entry that is no longer here: compacted, or `.zero` before the first entry.
  package private(set) var base: EntryID
  /// Runs of equal terms, rising in both fields. Terms never fall along a log (§5.3).
  private var runs: [Run] = []
  /// Bytes of all entries up to and including each, counted from an arbitrary zero; one per entry.
  private var totals: [UInt64] = []
  /// The running total at `base`.
  private var baseTotal: UInt64 = 0

  package init(base: EntryID = .zero) { self.base = base }

  package var count: Int { totals.count }
  package var firstIndex: LogIndex { base.index.next }
  package var lastIndex: LogIndex { base.index + totals.count }
  package var lastEntry: EntryID {
    EntryID(index: lastIndex, term: runs.last?.term ?? base.term)
  }

  /// The term of the entry at `index`; nil outside `base.index ... lastIndex`.
  package func term(at index: LogIndex) -> Term? {
    if index == base.index { return base.term }
    guard index > base.index, index <= lastIndex else { return nil }
    if let last = runs.last, index >= last.first { return last.term }
    return runs[runIndex(holding: index)].term
  }

  package func contains(_ entry: EntryID) -> Bool { term(at: entry.index) == entry.term }

  /// Bytes of the entries in `start + 1 ... end`, both within `base.index ... lastIndex`.
  package func bytes(after start: LogIndex, through end: LogIndex) -> Int {
    guard end > start else { return 0 }
    return Int(total(at: end) - total(at: start))
  }

  /// The last index in `start + 1 ... limit` such that the entries up to it have at most `bytes`,
  /// but at least `start + 1`: one entry always fits.
  package func lastIndex(after start: LogIndex, through limit: LogIndex, bytes: Int) -> LogIndex {
    precondition(limit > start, "no entries to choose from")
    let allowed = total(at: start) + UInt64(bytes)
    if total(at: limit) <= allowed { return limit }
    var low = start.next
    var high = limit
    while low < high {
      let middle = LogIndex((low.rawValue + high.rawValue + 1) / 2)
      if total(at: middle) <= allowed { low = middle } else { high = middle.previous }
    }
    return low
  }

  /// The last entry at or before `index` whose term is at most `term`: the furthest point at which
  /// a log with that term could still agree with ours. Never before `base`.
  ///
  /// ```
  ///   index      1 2 3 4 5 6 7 8     The follower refused us at 5, where its term is 2. Probing 4
  ///   leader     1 1 4 4 4 6 6 6     or 3 is pointless: our term there is 4, and its terms, which
  ///   follower   1 1 2 2 2           only rise, are at most 2 up to 5. The next probe that can
  ///                                  succeed is at 2.
  /// ```
  package func lastEntry(atOrBefore index: LogIndex, termAtMost term: Term) -> EntryID {
    var candidate = min(index, lastIndex)
    while candidate > base.index {
      let run = runs[runIndex(holding: candidate)]
      if run.term <= term { return EntryID(index: candidate, term: run.term) }
      candidate = run.first.previous
    }
    return base
  }

  package mutating func append(term: Term, size: Int) {
    precondition(term >= lastEntry.term, "terms never fall along a log")
    if runs.last?.term != term { runs.append(Run(first: lastIndex.next, term: term)) }
    totals.append((totals.last ?? baseTotal) + UInt64(size))
  }

  package mutating func truncate(after index: LogIndex) {
    precondition(index >= base.index, "compacted entries cannot be truncated")
    guard index < lastIndex else { return }
    totals.removeLast(lastIndex - index)
    while let last = runs.last, last.first > index { runs.removeLast() }
  }

  package mutating func compact(through index: LogIndex) {
    guard index > base.index, let term = term(at: index) else { return }
    let dropped = index - base.index
    baseTotal = totals[dropped - 1]
    totals.removeFirst(dropped)
    base = EntryID(index: index, term: term)
    while runs.count > 1, runs[1].first <= index.next { runs.removeFirst() }
    if totals.isEmpty {
      runs.removeAll()
    } else if runs[0].first <= index {
      runs[0].first = index.next
    }
  }

  /// Forgets every entry: an installed snapshot stands in their place.
  package mutating func reset(to base: EntryID) { self = LogOutline(base: base) }

  private func total(at index: LogIndex) -> UInt64 {
    index == base.index ? baseTotal : totals[index - base.index - 1]
  }

  /// The run that holds `index`, which is within the log. Binary search: elections are few, but a
  /// log that saw a bad night may have many terms.
  private func runIndex(holding index: LogIndex) -> Int {
    var low = 0
    var high = runs.count - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if runs[middle].first <= index { low = middle } else { high = middle - 1 }
    }
    return low
  }
}
