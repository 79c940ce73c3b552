/// What one client asked of a key-value server once, at some read level, and what it was told.
package struct Record: Sendable {
  package enum Level: String, Sendable, CaseIterable {
    case byLease = "default"
    case stale
    case consistent
  }

  package enum Kind: Sendable {
    /// Every value is put at most once in a history.
    case put(UInt64)
    case delete
    case get(Level)
  }

  package var client: Int
  package var key: Int
  package var kind: Kind
  /// Times are nanoseconds of one clock.
  package var called: UInt64
  /// Nil: the outcome is unknown. Reads without an answer do not belong into a history.
  package var returned: UInt64?
  /// Of a read: what was there, nil for nothing.
  package var value: UInt64?
  /// Of a delete: whether there was something.
  package var found: Bool?
  /// Of a write its own log index, of a read that of the write that it saw.
  package var index: UInt64?

  // Of a stale read

  /// How far the node that answered had applied its log.
  package var applied: UInt64?
  package var node = 0
  /// Which of the node's processes answered; nil where that is not certain.
  package var life: Int?

  package init(
    client: Int, key: Int, _ kind: Kind, called: UInt64, returned: UInt64? = nil,
    value: UInt64? = nil, found: Bool? = nil, index: UInt64? = nil, applied: UInt64? = nil
  ) {
    self.client = client
    self.key = key
    self.kind = kind
    self.called = called
    self.returned = returned
    self.value = value
    self.found = found
    self.index = index
    self.applied = applied
  }

  package var isWrite: Bool {
    if case .get = kind { false } else { true }
  }
}

extension Record: CustomStringConvertible {
  /// `client 3 get consistent of key 2 → 17 @166, at 12000 ... 12250 µs`
  package var description: String {
    let what =
      switch kind {
      case .put(let value): "put \(value) to key \(key)"
      case .delete: "delete key \(key)" + (found.map { $0 ? " → found" : " → none" } ?? "")
      case .get(let level):
        "get \(level.rawValue) of key \(key) → \(value.map(String.init) ?? "nothing")"
      }
    let place = index.map { " @\($0)" } ?? ""
    let state = applied.map { ", applied \($0), node \(node), life \(life ?? 0)" } ?? ""
    let times = "\(called / 1_000) ... \(returned.map { String($0 / 1_000) } ?? "?") µs"
    return "client \(client) \(what)\(place)\(state), at \(times)"
  }
}
