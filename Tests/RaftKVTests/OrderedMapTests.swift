import RaftKV
import Testing

@Suite("OrderedMap")
struct OrderedMapTests {
  private typealias Pair = (key: [UInt8], index: UInt64)

  @Test("it does what a sorted array does, and frozen copies never change", arguments: [1, 2, 3])
  func twin(seed: UInt64) {
    var random = Random(seed: seed)
    var map = OrderedMap()
    var twin: [Pair] = []
    var frozen: [(OrderedMap, [Pair])] = []
    for step in 1...6000 {
      // Grows for a while, then shrinks to almost nothing, and again.
      let isGrowing = (step / 1500) % 2 == 0
      let key = randomKey(&random)
      let slot = twin.firstIndex { !$0.key.lexicographicallyPrecedes(key) } ?? twin.count
      let isFound = slot < twin.count && twin[slot].key == key
      let old = isFound ? twin[slot].index : nil
      if Int.random(in: 0..<10, using: &random) < (isGrowing ? 8 : 2) {
        let replaced = map.insert(makeEntry(key, at: UInt64(step)))
        #expect(replaced?.modifyIndex.rawValue == old)
        if isFound {
          twin[slot].index = UInt64(step)
        } else {
          twin.insert((key, UInt64(step)), at: slot)
        }
      } else {
        let victim =
          twin.isEmpty || Bool.random(using: &random)
          ? slot : Int.random(in: 0..<twin.count, using: &random)
        let target = victim < twin.count ? twin[victim].key : key
        let expected = victim < twin.count ? twin[victim].index : nil
        let removed = map.removeKey(target)
        #expect(removed?.modifyIndex.rawValue == expected)
        if victim < twin.count { twin.remove(at: victim) }
      }
      if Int.random(in: 0..<100, using: &random) == 0 { frozen.append((map, twin)) }
      if frozen.count > 5 { frozen.remove(at: Int.random(in: 0..<5, using: &random)) }
      if step % 250 == 0 {
        check(map, twin)
        for (map, twin) in frozen { check(map, twin) }
      }
    }
  }

  private func check(_ map: OrderedMap, _ twin: [Pair]) {
    #expect(map.violatedInvariant() == nil)
    #expect(map.map { Array($0.key) } == twin.map(\.key))
    #expect(map.map(\.modifyIndex.rawValue) == twin.map(\.index))
    for pair in twin {
      #expect(withBytes(pair.key) { map.find($0) }?.modifyIndex.rawValue == pair.index)
    }
  }

  /// Short keys of few letters, among them zero bytes: many prefixes, ties and extensions. And long
  /// ones that begin alike, which nodes leave out of their digests.
  private func randomKey(_ random: inout Random) -> [UInt8] {
    if Int.random(in: 0..<4, using: &random) == 0 {
      let alike = Array("/service/web/instances/".utf8)
      return alike.prefix(Int.random(in: 20...alike.count, using: &random))
        + numberedKey(Int.random(in: 0..<500, using: &random))
    }
    if Bool.random(using: &random) {
      return numberedKey(Int.random(in: 0..<2000, using: &random))
    }
    let count = Int.random(in: 1...10, using: &random)
    return (0..<count).map { _ in [0, 1, 0x61, 0xff][Int.random(in: 0..<4, using: &random)] }
  }

  @Test("a put copies no node while nothing is frozen, and at most the height otherwise")
  func copies() {
    var map = OrderedMap()
    for number in 0..<20_000 { map.insert(makeEntry(numberedKey(number * 7919 % 20_000))) }
    #expect(map.height >= 3)
    #expect(map.nodesCopied == 0)
    let frozen = map
    let key = numberedKey(5)
    map.insert(makeEntry(key, at: 2))
    #expect(map.nodesCopied >= 1 && map.nodesCopied <= map.height)
    let copied = map.nodesCopied
    map.insert(makeEntry(key, at: 3))
    #expect(map.nodesCopied == copied)
    #expect(withBytes(key) { frozen.find($0) }?.modifyIndex == LogIndex(1))
  }

  @Test("appending ascending keys makes the same map, and refuses any other key")
  func append() {
    var map = OrderedMap()
    for number in 0..<10_000 {
      let isAppended = map.append(makeEntry(numberedKey(number)))
      #expect(isAppended)
    }
    #expect(map.violatedInvariant() == nil)
    #expect(map.map { Array($0.key) } == (0..<10_000).map(numberedKey))
    for key in [numberedKey(9_999), [1]] {
      let isAppended = map.append(makeEntry(key))
      #expect(!isAppended)
    }
    #expect(map.count == 10_000)
    for number in 0..<10_000 {
      let removed = map.removeKey(numberedKey(number))
      #expect(removed != nil)
    }
    #expect(map.isEmpty && map.height == 1)
  }

  @Test("ranges and prefixes begin and end where they should")
  func ranges() {
    var map = OrderedMap()
    for number in 0..<1000 { map.insert(makeEntry(numberedKey(number))) }
    let from = withBytes(numberedKey(500)) { map.entries(from: $0) }
    #expect(from.map { Array($0.key) } == (500..<1000).map(numberedKey))
    let prefix = Array(numberedKey(420).dropLast())
    let below = withBytes(prefix) { map.entries(withPrefix: $0) }
    #expect(below.map { Array($0.key) } == (420..<430).map(numberedKey))
    #expect(withBytes([0xff]) { map.entries(withPrefix: $0) }.map(\.modifyIndex) == [])
    #expect(withBytes([]) { map.entries(withPrefix: $0) }.map(\.modifyIndex).count == 1000)
  }
}

@Suite("Dismantler")
struct DismantlerTests {
  @Test("a map is released in slices, and what another map shares stays")
  func slices() {
    var map = OrderedMap()
    for number in 0..<5000 { map.insert(makeEntry(numberedKey(number))) }
    let frozen = map
    map.insert(makeEntry(numberedKey(3), at: 2))
    var dismantler = Dismantler()
    dismantler.take(map)
    map = OrderedMap()
    while !dismantler.step(budget: 10) {}
    #expect(frozen.violatedInvariant() == nil && frozen.count == 5000)

    var steps = 1
    dismantler.take(frozen)
    while !dismantler.step(budget: 100) { steps += 1 }
    #expect(frozen.violatedInvariant() == nil)
    #expect(steps == 1)
  }

  @Test("a map that nobody shares takes as many slices as its size needs")
  func budget() {
    var dismantler = Dismantler()
    dismantler.take(makeMap(count: 5000))
    var steps = 1
    while !dismantler.step(budget: 100) { steps += 1 }
    #expect(steps > 20)
    #expect(dismantler.isEmpty)
  }

  private func makeMap(count: Int) -> OrderedMap {
    var map = OrderedMap()
    for number in 0..<count { map.insert(makeEntry(numberedKey(number))) }
    return map
  }
}
