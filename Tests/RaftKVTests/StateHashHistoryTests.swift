import Testing

@testable import RaftKV

/// What the state machine keeps beside its map: hashes at certain indexes, and deletes.
@Suite("StateHashHistory, Tombstones, KeyOrder and EntryAttributes")
struct StateHashHistoryTests {
  @Test("hashes are remembered at multiples of the interval, the last 64 of them")
  func history() {
    var history = StateHashHistory(interval: 10)
    #expect(history.latest == nil && history.report(at: .zero) == nil)
    for index in 0...2000 as ClosedRange<UInt64> {
      history.record(StateHash(low: index), at: LogIndex(index))
    }
    #expect(history.latest?.index == LogIndex(2000))
    for index in 1...2000 as ClosedRange<UInt64> {
      let isKept = index % 10 == 0 && index > 2000 - 640
      #expect(history.report(at: LogIndex(index))?.hash.low == (isKept ? index : nil))
    }
    #expect(history.report(at: LogIndex(2640)) == nil, "the same slot, not the same index")
  }

  private func tombstones(_ count: Int) -> Tombstones {
    var tombstones = Tombstones()
    for number in 0..<count {
      let key = numberedKey(number)
      withBytes(key) { tombstones.append(key: $0, at: LogIndex(UInt64(number + 1))) }
    }
    return tombstones
  }

  @Test("deletes are found by key and by prefix; the oldest are forgotten, and that is known")
  func deletes() {
    let limit = Tombstones.capacity
    let tombstones = tombstones(limit + 3)
    #expect(tombstones.count == limit && tombstones.horizon == LogIndex(3))
    #expect(withBytes(numberedKey(2)) { tombstones.index(of: $0) } == nil)
    #expect(withBytes(numberedKey(3)) { tombstones.index(of: $0) } == LogIndex(4))
    let last = LogIndex(UInt64(limit + 3))
    #expect(withBytes(Array("service/".utf8)) { tombstones.latestIndex(withPrefix: $0) } == last)
    #expect(withBytes(Array("x".utf8)) { tombstones.latestIndex(withPrefix: $0) } == nil)
    #expect(tombstones.latestIndex == last)
  }

  @Test("a key deleted again is remembered by its last delete, though the first is forgotten")
  func deletedTwice() {
    var tombstones = tombstones(1)
    let key = numberedKey(0)
    withBytes(key) { tombstones.append(key: $0, at: LogIndex(2)) }
    for number in 1..<Tombstones.capacity {
      let other = numberedKey(number)
      withBytes(other) { tombstones.append(key: $0, at: LogIndex(UInt64(number + 2))) }
    }
    #expect(tombstones.horizon == LogIndex(1))
    #expect(withBytes(key) { tombstones.index(of: $0) } == LogIndex(2))
  }

  @Test("the order of keys is that of their bytes, and digests never say otherwise")
  func keyOrder() {
    var random = Random(seed: 5)
    func key() -> [UInt8] {
      (0..<Int(random.next() % 20)).map { _ in
        UInt8(random.next() % 3 == 0 ? 255 : random.next() % 2)
      }
    }
    for _ in 0..<20_000 {
      let (left, right) = (key(), key())
      withBytes(left) { a in
        withBytes(right) { b in
          let order = KeyOrder.compare(a, b)
          #expect((order < 0) == left.lexicographicallyPrecedes(right))
          #expect((order == 0) == (left == right))
          let common = zip(left, right).prefix { $0 == $1 }.count
          #expect(KeyOrder.commonCount(a, b) == common)
          for offset in 0...common {
            let p = KeyOrder.digest(of: a, from: offset)
            let q = KeyOrder.digest(of: b, from: offset)
            if p != q { #expect((p < q) == (order < 0)) }
          }
        }
      }
    }
  }

  @Test("an attribute that is zero takes no space; what is stored comes back")
  func attributes() {
    for lockIndex in [0, 3] as [UInt64] {
      for flags in [0, UInt64.max] {
        for session in [(0, 0), (0, 1), (1, 0)] as [(high: UInt64, low: UInt64)] {
          let stored = Entry.Attributes(lockIndex: lockIndex, flags: flags, session: session)
          let size = Entry.Attributes.size(of: stored.fields)
          let expected =
            (lockIndex != 0 ? 8 : 0) + (flags != 0 ? 8 : 0) + (session != (0, 0) ? 16 : 0)
          #expect(size == expected)
          withUnsafeTemporaryAllocation(byteCount: 40, alignment: 1) { space in
            space.initializeMemory(as: UInt8.self, repeating: 0xaa)
            stored.store(to: space.baseAddress! + 1)
            #expect(space[0] == 0xaa && space[1 + size] == 0xaa, "nothing beyond its size")
            let loaded = Entry.Attributes(loading: stored.fields, from: space.baseAddress! + 1)
            #expect(loaded == stored)
          }
        }
      }
    }
  }
}
