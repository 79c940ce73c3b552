/// A period of at most one leader (§5.1). Terms only rise.
package struct Term: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  package static let zero = Term(0)
  package var next: Term { Term(rawValue + 1) }
  package static func < (left: Term, right: Term) -> Bool { left.rawValue < right.rawValue }
  package var description: String { "\(rawValue)" }
}

/// A position in the log. The first entry has index 1; 0 stands for "before the log".
package struct LogIndex: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  package static let zero = LogIndex(0)
  package var next: LogIndex { LogIndex(rawValue + 1) }
  package var previous: LogIndex { LogIndex(rawValue - 1) }

  package static func < (left: LogIndex, right: LogIndex) -> Bool {
    left.rawValue < right.rawValue
  }
  package static func + (index: LogIndex, count: Int) -> LogIndex {
    LogIndex(index.rawValue + UInt64(count))
  }
  /// How many entries lie in `start + 1 ... end`; negative when `end` comes before `start`.
  package static func - (end: LogIndex, start: LogIndex) -> Int {
    Int(end.rawValue) - Int(start.rawValue)
  }
  package var description: String { "\(rawValue)" }
}

/// An entry's position and term. By Log Matching (§5.3) it names one entry, whatever the log.
package struct EntryID: Hashable, Sendable, CustomStringConvertible {
  package var index: LogIndex
  package var term: Term
  package init(index: LogIndex, term: Term) {
    self.index = index
    self.term = term
  }

  /// What stands before the first entry of every log.
  package static let zero = EntryID(index: .zero, term: .zero)
  /// `12@3`: index 12 of term 3. The one notation for it, in logs, traces and tests.
  package var description: String { "\(index)@\(term)" }
}

/// One life of one data directory: the random incarnation that a node draws at its first start.
/// A wiped disk under an old name is another NodeID, so it inherits neither
/// votes nor progress (D8, D9).
package struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// No node: "voted for nobody", "no leader known".
  package static let none = NodeID(0)
  package static func < (left: NodeID, right: NodeID) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue, radix: 16) }
}

/// A cluster's random name, drawn once by `-bootstrap`. Zero: not in a cluster yet.
package struct ClusterID: Hashable, Sendable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  package static let none = ClusterID(0)
  /// Sixteen hexadecimal digits, as `/status` shows it.
  package var description: String {
    let digits = String(rawValue, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
