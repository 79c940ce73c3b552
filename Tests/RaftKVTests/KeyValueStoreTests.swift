import RaftKV
import Testing

@Suite("KeyValueStore")
struct KeyValueStoreTests {
  @Test("put, overwrite and delete keep indexes, count, clock and results")
  func applies() throws {
    let store = KeyValueStore()
    #expect(try store.apply(encodedPut([1], [10], clock: 500), at: 1) == .written)
    store.advance(to: LogIndex(2))
    #expect(try store.apply(encodedPut([1], [11], clock: 400), at: 3) == .written)
    #expect(store.clock == 500)
    let entry = try #require(withBytes([1]) { store.find($0) })
    #expect(entry.createIndex == LogIndex(1) && entry.modifyIndex == LogIndex(3))
    #expect(Array(entry.value) == [11])
    #expect(try store.apply(encodedDelete([1]), at: 4) == .deleted(existed: true))
    #expect(try store.apply(encodedDelete([1]), at: 5) == .deleted(existed: false))
    #expect(store.count == 0 && store.stateHash == StateHash())
    #expect(withBytes([1]) { store.tombstones.index(of: $0) } == LogIndex(4))
    #expect(store.appliedIndex == LogIndex(5))
  }

  @Test("a command that is not understood changes nothing")
  func refuses() throws {
    let store = KeyValueStore()
    try store.apply(encodedPut([1], [1], clock: 5), at: 1)
    var newer = encodedPut([2], [2], clock: 9)
    newer[0] = 2
    #expect(throws: ApplyError.unknownVersion(2)) { try store.apply(newer, at: 2) }
    #expect(store.appliedIndex == LogIndex(1) && store.clock == 5 && store.count == 1)
  }

  @Test("the observer hears of every change with the entry before and after it")
  func observes() throws {
    let store = KeyValueStore()
    var heard: [String] = []
    store.observe { change in
      let (old, new) = (change.old.map { Array($0.value) }, change.new.map { Array($0.value) })
      heard.append("\(change.index) \(Array(change.key)) \(old ?? []) \(new ?? [])")
      #expect(store.appliedIndex == change.index)
    }
    try store.apply(encodedPut([1], [10]), at: 1)
    try store.apply(encodedPut([1], [11]), at: 2)
    try store.apply(encodedDelete([1]), at: 3)
    try store.apply(encodedDelete([1]), at: 4)
    #expect(heard == ["1 [1] [] [10]", "2 [1] [10] [11]", "3 [1] [11] []"])
  }

  @Test("the incremental state hash is the recomputed one, and is remembered at its interval")
  func hashes() throws {
    var random = Random(seed: 11)
    let store = KeyValueStore(hashInterval: 16)
    var at: [UInt64: StateHash] = [:]
    for index in 1...UInt64(2000) {
      let key = numberedKey(Int.random(in: 0..<200, using: &random))
      let isPut = Int.random(in: 0..<3, using: &random) > 0
      try store.apply(isPut ? encodedPut(key, [UInt8(index & 255)]) : encodedDelete(key), at: index)
      at[index] = store.stateHash
      if index % 100 == 0 { #expect(store.stateHash == StateHash(of: store.state.map)) }
    }
    #expect(store.history.latest?.index == LogIndex(2000))
    #expect(store.history.report(at: LogIndex(1984))?.hash == at[1984])
    #expect(store.history.report(at: LogIndex(992))?.hash == at[992])
    #expect(store.history.report(at: LogIndex(976)) == nil)
    #expect(store.history.report(at: LogIndex(1985)) == nil)
  }

  @Test("the state hash does not depend on order, but on every field of an entry")
  func hashFields() {
    let entries = (0..<50).map { makeEntry(numberedKey($0), [UInt8($0)], at: 7) }
    var forward = StateHash()
    var backward = StateHash()
    for entry in entries { forward.insert(entry) }
    for entry in entries.reversed() { backward.insert(entry) }
    #expect(forward == backward)

    func hash(
      _ key: [UInt8], _ value: [UInt8], _ created: UInt64, _ modified: UInt64,
      _ attributes: Entry.Attributes = .none
    ) -> StateHash {
      var hash = StateHash()
      withBytes(key) { key in
        withBytes(value) { value in
          hash.insert(
            Entry(
              key: key, value: value, createIndex: LogIndex(created),
              modifyIndex: LogIndex(modified), attributes: attributes))
        }
      }
      return hash
    }
    let hashes: Set<StateHash> = [
      hash([1], [2], 3, 4), hash([9], [2], 3, 4), hash([1], [9], 3, 4), hash([1], [2], 1, 4),
      hash([1], [2], 3, 9), hash([1, 2], [], 3, 4), hash([], [1, 2], 3, 4),
      hash([1, 0], [2], 3, 4),
      hash([1], [2], 3, 4, .init(lockIndex: 1)), hash([1], [2], 3, 4, .init(flags: 1)),
      hash([1], [2], 3, 4, .init(session: (0, 1))), hash([1], [2], 3, 4, .init(session: (1, 0))),
    ]
    #expect(hashes.count == 12)
  }

  @Test("tombstones are bounded: the oldest go, and the horizon says how far")
  func tombstones() {
    var tombstones = Tombstones()
    let capacity = Tombstones.capacity
    for number in 1...capacity + 10 {
      // Key 5 is deleted again and again, so its first tombstones go and its latest stays.
      let key = number % 2 == 0 ? numberedKey(5) : numberedKey(number + 10)
      withBytes(key) { tombstones.append(key: $0, at: LogIndex(UInt64(number))) }
    }
    #expect(tombstones.count == capacity)
    #expect(tombstones.horizon == LogIndex(10))
    #expect(withBytes(numberedKey(11)) { tombstones.index(of: $0) } == nil)
    #expect(withBytes(numberedKey(21)) { tombstones.index(of: $0) } == LogIndex(11))
    let last = LogIndex(UInt64(capacity + 10))
    #expect(withBytes(numberedKey(5)) { tombstones.index(of: $0) } == last)
    #expect(withBytes(Array("service/".utf8)) { tombstones.latestIndex(withPrefix: $0) } == last)
  }

  @Test("an entry gives back its attributes, and those that are zero take no space")
  func attributes() {
    let all = Entry.Attributes(lockIndex: 3, flags: 4, session: (5, 6))
    for attributes in [.none, all, .init(flags: 9), .init(lockIndex: 1, session: (0, 2))] {
      let entry = withBytes([1, 2]) {
        Entry(
          key: $0, value: $0, createIndex: LogIndex(1), modifyIndex: LogIndex(2),
          attributes: attributes)
      }
      #expect(entry.attributes == attributes)
      #expect(Array(entry.key) == [1, 2] && Array(entry.value) == [1, 2])
    }
  }
}
