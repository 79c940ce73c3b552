/// The search of Wing and Gong (1993) with the cache of Lowe (2017), for one key.
///
/// Calls and returns stand in a doubly linked list in the order of time. The walk goes along it: an
/// operation whose call it meets may be the next in the order, if the register allows its answer;
/// then its call and return are lifted out of the list and the walk begins again at the front.
/// Where it meets a return, that operation should have been ordered before: the latest choice is
/// undone, and the walk goes on behind it. The list empty: an order is found. No choice left: there
/// is none.
///
/// Without more this tries the same set of operations in all its orders. What lies ahead depends
/// only on which operations are ordered and on the register's state, so each such pair is entered
/// only once.
struct Search {
  enum Outcome {
    case found
    case none
    case gaveUp
  }

  let operations: [Invocation]
  /// The longest order found before a choice had to be undone: positions in `operations`.
  private(set) var longest: [Int] = []

  // The list. Event 2i is the call of operation i, 2i + 1 its return; the last is the list's end.
  private var next: [Int32]
  private var previous: [Int32]
  private let head: Int32

  init(_ history: [Invocation]) {
    operations = history
    let count = operations.count
    head = Int32(2 * count)
    next = Array(repeating: 0, count: 2 * count + 1)
    previous = next
    // What never returned is there to the end of time. At equal times calls stand before returns:
    // these operations overlap.
    let order = (0..<2 * count).sorted { [operations] one, other in
      Self.key(one, operations) < Self.key(other, operations)
    }
    var last = head
    for event in order {
      next[Int(last)] = Int32(event)
      previous[event] = last
      last = Int32(event)
    }
    next[Int(last)] = head
    previous[Int(head)] = last
  }

  /// By time, then calls before returns, then as given. Those without return come behind
  /// everything.
  private static func key(
    _ event: Int, _ operations: [Invocation]
  ) -> (isEndless: Int, time: UInt64, isReturn: Int, event: Int) {
    let operation = operations[event / 2]
    guard event % 2 == 1 else { return (0, operation.called, 0, event) }
    guard let returned = operation.returned else { return (1, 0, 1, event) }
    return (0, returned, 1, event)
  }

  // MARK: The walk

  mutating func run(budget: Int) -> Outcome {
    var state = Register(value: nil)
    var choices: [(operation: Int32, before: Register)] = []
    var ordered = OperationSet(count: operations.count)
    var entered = Set<Configuration>()
    var event = next[Int(head)]
    var steps = 0
    while next[Int(head)] != head {
      steps += 1
      if steps > budget { return .gaveUp }
      let isCall = event != head && event & 1 == 0
      if isCall {
        let operation = event >> 1
        if let after = state.after(operations[Int(operation)].action) {
          ordered.insert(Int(operation))
          if entered.insert(Configuration(ordered: ordered, state: after)).inserted {
            choices.append((operation, state))
            state = after
            lift(event)
            event = next[Int(head)]
            continue
          }
          ordered.remove(Int(operation))
        }
        event = next[Int(event)]
      } else {
        if choices.count > longest.count { longest = choices.map { Int($0.operation) } }
        guard let (operation, before) = choices.popLast() else { return .none }
        state = before
        ordered.remove(Int(operation))
        restore(operation << 1)
        event = next[Int(operation << 1)]
      }
    }
    return .found
  }

  /// Takes a call and its return out of the list; they keep their neighbours, to come back.
  private mutating func lift(_ call: Int32) {
    for event in [Int(call), Int(call + 1)] {
      next[Int(previous[event])] = next[event]
      previous[Int(next[event])] = previous[event]
    }
  }

  /// The reverse, in the reverse order.
  private mutating func restore(_ call: Int32) {
    for event in [Int(call + 1), Int(call)] {
      next[Int(previous[event])] = Int32(event)
      previous[Int(next[event])] = Int32(event)
    }
  }
}

/// What decides everything that follows.
private struct Configuration: Hashable {
  var ordered: OperationSet
  var state: Register
}

/// A set of operations, with a hash that follows each change, so that a lookup need not read all of
/// it.
private struct OperationSet: Hashable {
  private var words: [UInt64]
  private var hash: UInt64 = 0

  init(count: Int) { words = Array(repeating: 0, count: (count + 63) / 64) }

  mutating func insert(_ operation: Int) { toggle(operation) }
  mutating func remove(_ operation: Int) { toggle(operation) }

  private mutating func toggle(_ operation: Int) {
    words[operation / 64] ^= 1 << UInt64(operation % 64)
    // The finaliser of SplitMix64: a number of its own for each operation.
    var mixed = UInt64(operation + 1) &* 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    hash ^= mixed ^ (mixed >> 31)
  }

  static func == (one: Self, other: Self) -> Bool {
    one.hash == other.hash && one.words == other.words
  }

  func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
