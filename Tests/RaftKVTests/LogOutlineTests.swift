import RaftKV
import Testing

@Suite("LogOutline")
struct LogOutlineTests {
  /// The same, obviously: a list of every term and size.
  private struct Twin {
    var base = EntryID.zero
    var terms: [Term] = []
    var sizes: [Int] = []
    var last: Int { Int(base.index.rawValue) + terms.count }

    func term(at index: Int) -> Term? {
      if index == Int(base.index.rawValue) { return base.term }
      let position = index - Int(base.index.rawValue) - 1
      return terms.indices.contains(position) ? terms[position] : nil
    }
    mutating func compact(through index: Int) {
      let count = index - Int(base.index.rawValue)
      base = EntryID(index: LogIndex(UInt64(index)), term: term(at: index)!)
      terms.removeFirst(count)
      sizes.removeFirst(count)
    }
    func bytes(after start: Int, through end: Int) -> Int {
      let first = start - Int(base.index.rawValue)
      return sizes[first..<(end - Int(base.index.rawValue))].reduce(0, +)
    }
  }

  @Test("runs and totals answer as a plain list would")
  func twin() {
    for seed in 1...40 as ClosedRange<UInt64> {
      var random = Random(seed: seed)
      var outline = LogOutline()
      var twin = Twin()
      var term: UInt64 = 1
      for _ in 0..<120 {
        let first = Int(twin.base.index.rawValue)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<7:
          term += UInt64.random(in: 0...3, using: &random) / 3
          let size = Int.random(in: 0...9, using: &random)
          outline.append(term: Term(term), size: size)
          twin.terms.append(Term(term))
          twin.sizes.append(size)
        case 7, 8:
          let index = Int.random(in: first...twin.last, using: &random)
          outline.truncate(after: LogIndex(UInt64(index)))
          twin.terms.removeLast(twin.last - index)
          twin.sizes.removeLast(twin.sizes.count - twin.terms.count)
        default:
          let index = Int.random(in: first...twin.last, using: &random)
          outline.compact(through: LogIndex(UInt64(index)))
          twin.compact(through: index)
        }
        compare(outline, twin, &random)
      }
    }
  }

  private func compare(_ outline: LogOutline, _ twin: Twin, _ random: inout Random) {
    let first = Int(twin.base.index.rawValue)
    #expect(outline.base == twin.base)
    #expect(outline.lastIndex == LogIndex(UInt64(twin.last)))
    #expect(outline.lastEntry.term == twin.term(at: twin.last))
    for index in max(0, first - 1)...(twin.last + 1) {
      #expect(outline.term(at: LogIndex(UInt64(index))) == twin.term(at: index))
    }
    guard twin.last > first else { return }
    let start = Int.random(in: first..<twin.last, using: &random)
    let limit = Int.random(in: (start + 1)...twin.last, using: &random)
    let from = LogIndex(UInt64(start))
    let to = LogIndex(UInt64(limit))
    #expect(outline.bytes(after: from, through: to) == twin.bytes(after: start, through: limit))
    let allowed = Int.random(in: 0...40, using: &random)
    var furthest = start + 1
    while furthest < limit, twin.bytes(after: start, through: furthest + 1) <= allowed {
      furthest += 1
    }
    #expect(
      outline.lastIndex(after: from, through: to, bytes: allowed) == LogIndex(UInt64(furthest)))
    let most = Term(UInt64.random(in: 0...20, using: &random))
    var agreed = limit
    while agreed > first, twin.term(at: agreed)! > most { agreed -= 1 }
    #expect(
      outline.lastEntry(atOrBefore: to, termAtMost: most).index == LogIndex(UInt64(agreed)))
  }

  @Test("an emptied outline remembers its base")
  func reset() {
    var outline = LogOutline()
    outline.append(term: Term(1), size: 5)
    outline.reset(to: RaftHarness.id(7, 3))
    #expect(outline.lastEntry == RaftHarness.id(7, 3))
    #expect(outline.count == 0)
    outline.append(term: Term(3), size: 1)
    #expect(outline.contains(RaftHarness.id(8, 3)))
    #expect(!outline.contains(RaftHarness.id(6, 3)))
  }
}

@Suite("ConfigurationHistory")
struct ConfigurationHistoryTests {
  private func configuration(_ voters: Int...) -> Configuration {
    Configuration(members: voters.map { RaftHarness.member($0, role: .voter) })
  }

  @Test("a truncation returns to the configuration before, also to that of the base")
  func truncate() {
    var history = ConfigurationHistory(
      base: .init(index: LogIndex(3), configuration: configuration(1)))
    history.append(configuration(1, 2), at: LogIndex(5))
    history.append(configuration(1, 2, 3), at: LogIndex(9))
    #expect(history.item(at: LogIndex(8)).configuration == configuration(1, 2))
    let isUnchanged = !history.truncate(after: LogIndex(9))
    #expect(isUnchanged)
    let isChanged = history.truncate(after: LogIndex(4))
    #expect(isChanged)
    #expect(history.current == configuration(1))
    #expect(history.currentIndex == LogIndex(3))
  }

  @Test("compaction keeps the configuration in force at the new base")
  func compact() {
    var history = ConfigurationHistory()
    history.append(configuration(1), at: LogIndex(1))
    history.append(configuration(1, 2), at: LogIndex(5))
    history.compact(through: LogIndex(4))
    #expect(history.item(at: LogIndex(4)).index == LogIndex(1))
    history.compact(through: LogIndex(5))
    #expect(history.previous == nil)
    #expect(history.current == configuration(1, 2))
  }
}
