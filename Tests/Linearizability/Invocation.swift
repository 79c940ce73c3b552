/// What one client did to one key, and when.
///
/// The key is a register: absent at first, then the value last put. Times are of one clock, in any
/// unit: an operation whose `returned` is less than another's `called` came before it, all others
/// overlap.
package struct Invocation: Sendable, Equatable {
  package enum Action: Sendable, Equatable {
    /// What was read; nil: there was nothing.
    case get(UInt64?)
    case put(UInt64)
    /// Whether there was something to delete; nil: not told.
    case delete(found: Bool?)
    /// Whether the register had the old value, and so has the new one; nil: not told.
    case compareAndSet(UInt64, to: UInt64, succeeded: Bool?)

    /// A read is nothing but its answer: without one it says nothing, and belongs into no history.
    var hasNoAnswer: Bool {
      switch self {
      case .put, .delete(nil), .compareAndSet(_, to: _, succeeded: nil): true
      default: false
      }
    }
  }

  package var client: Int
  package var key: Int
  package var action: Action
  package var called: UInt64
  /// Nil: the client was never told. It may take effect at any time after the call, or never.
  package var returned: UInt64?

  package init(
    client: Int, key: Int = 0, _ action: Action, called: UInt64, returned: UInt64?
  ) {
    precondition(returned.map { $0 >= called } ?? true, "an answer does not precede its question")
    // Else it would have to take effect, to explain the answer, and might be left out, being
    // unknown.
    precondition(returned != nil || action.hasNoAnswer, "what never returned has no answer")
    self.client = client
    self.key = key
    self.action = action
    self.called = called
    self.returned = returned
  }
}

/// The register: what it holds after an operation, or that the operation cannot have gone that way.
struct Register: Hashable {
  var value: UInt64?

  /// Nil where the answer that the client got is not the one that a register in this state gives.
  /// An operation of unknown outcome always has a state to end in.
  func after(_ action: Invocation.Action) -> Register? {
    switch action {
    case .get(let seen): seen == value ? self : nil
    case .put(let new): Register(value: new)
    case .delete(let found): found == nil || found == (value != nil) ? Register(value: nil) : nil
    case .compareAndSet(let old, let new, let succeeded):
      if succeeded == nil || succeeded == (value == old) {
        value == old ? Register(value: new) : self
      } else {
        nil
      }
    }
  }
}

/// Shortens the search without changing its verdict: unknown outcomes are what makes it expensive.
///
/// Where every value of a key is put at most once, a read tells which put it saw.
/// - A put of unknown outcome whose value was read took effect before the first such read returned.
/// - One whose value nobody read, and whose presence no delete can have told, may as well not have
///   been: in any order that is legal with it, nothing between it and the next change looked at the
///   register, so the order is legal without it; and put at the end it disturbs nobody.
func withoutNeedlessUnknowns(_ history: [Invocation]) -> [Invocation] {
  var puts: Set<UInt64> = []
  var firstSeen: [UInt64: UInt64] = [:]
  var lastFinding: UInt64?
  for operation in history {
    switch operation.action {
    case .put(let value):
      guard puts.insert(value).inserted else { return history }
    case .get(let value):
      guard let value, let returned = operation.returned else { continue }
      firstSeen[value] = min(firstSeen[value] ?? .max, returned)
    case .delete(let found):
      if found == true { lastFinding = max(lastFinding ?? 0, operation.returned ?? .max) }
    case .compareAndSet: return history
    }
  }
  return history.compactMap { operation in
    guard operation.returned == nil, case .put(let value) = operation.action else {
      return operation
    }
    guard let seen = firstSeen[value] else {
      return lastFinding.map { $0 >= operation.called } ?? false ? operation : nil
    }
    // A read that returned before the call saw the future: the search will say so.
    guard seen >= operation.called else { return operation }
    var operation = operation
    operation.returned = seen
    return operation
  }
}
