/// Is there an order of all operations, each at one moment between its call and its return, in
/// which every answer is the one that a register gives?
package enum Linearizability {
  package enum Verdict: Equatable, Sendable {
    case linearizable
    /// With a report for people: the key, how far an order could be found, and what stood against
    /// it.
    case violated(String)
    /// The budget was used up. Whoever asks counts this as a failure.
    case unknown(String)

    package var isLinearizable: Bool { self == .linearizable }
  }

  /// Judges a history of any number of keys. Keys are independent of one another, so each is judged
  /// by itself (a system is linearizable if and only if each of its objects is: Herlihy and Wing
  /// 1990, §3.3).
  ///
  /// `budget` is the number of search steps per key; a million take less than a second in release.
  package static func check(_ history: [Invocation], budget: Int = 20_000_000) -> Verdict {
    var byKey: [Int: [Invocation]] = [:]
    for operation in history { byKey[operation.key, default: []].append(operation) }
    var firstUnknown: Verdict?
    for key in byKey.keys.sorted() {
      var search = Search(withoutNeedlessUnknowns(byKey[key]!))
      switch search.run(budget: budget) {
      case .found: continue
      case .none: return .violated(search.report(key: key))
      case .gaveUp:
        let count = byKey[key]!.count
        firstUnknown =
          firstUnknown
          ?? .unknown("key \(key): undecided after \(budget) steps, \(count) operations")
      }
    }
    return firstUnknown ?? .linearizable
  }
}
