import RaftKV
import Simulation
import Testing

@Suite("HardStateStore")
struct HardStateStoreTests {
  private static let name = "hard-state"
  private static let second = 65536

  private func open(_ disk: SimulatedDisk) throws(RecoveryError) -> HardStateStore<SimulatedDisk> {
    try HardStateStore.recover(disk: disk, node: LogBench.node, clock: { .zero })
  }

  private func state(_ term: UInt64, _ vote: UInt64 = 0) -> HardState {
    HardState(currentTerm: Term(term), votedFor: NodeID(vote))
  }

  private func written(_ states: HardState...) throws -> SimulatedDisk {
    let disk = try LogBench.emptyDisk()
    let store = try open(disk)
    for state in states {
      store.write(state)
      while disk.step() {}
    }
    return disk
  }

  @Test("a state is reported when both slots have it, and is there after a crash")
  func durable() throws {
    let disk = try LogBench.emptyDisk()
    let store = try open(disk)
    var reported: [HardState] = []
    store.didPersist = { reported.append($0) }
    store.write(state(3, 0xabc))
    _ = disk.step()
    #expect(reported.isEmpty && store.isWriting)
    _ = disk.step()
    #expect(reported == [state(3, 0xabc)] && !store.isWriting)
    disk.crash()
    #expect(try open(disk).durable == state(3, 0xabc))
  }

  @Test("while a write is under way, the newest state that waits is the one written next")
  func newestWins() throws {
    let disk = try LogBench.emptyDisk()
    let store = try open(disk)
    var reported: [HardState] = []
    store.didPersist = { reported.append($0) }
    for term in 1...4 { store.write(state(UInt64(term))) }
    while disk.step() {}
    #expect(reported == [state(1), state(4)])
  }

  @Test("one bad slot, either one: the other one counts, and both are good again")
  func oneBad() throws {
    for offset in [0, Self.second] {
      let disk = try written(state(4), state(5, 1))
      disk.flipBit(2, at: offset + 20, in: Self.name)
      #expect(try open(disk).durable == state(5, 1))
      disk.flipBit(2, at: Self.second - offset + 20, in: Self.name)
      #expect(try open(disk).durable == state(5, 1))
    }
  }

  @Test("the higher generation counts, wherever it is")
  func higherGeneration() throws {
    for offset in [0, Self.second] {
      let disk = try written(state(4))
      let old = Array(disk.contents(of: Self.name)[..<512])
      let store = try open(disk)
      store.write(state(5, 1))
      while disk.step() {}
      disk.put(old, at: offset, in: Self.name)
      #expect(try open(disk).durable == state(5, 1))
      #expect(disk.contents(of: Self.name)[..<512] == disk.contents(of: Self.name)[Self.second...])
    }
  }

  @Test("two bad slots are damage, never term 0; so is a missing file")
  func bothBad() throws {
    let disk = try written(state(4))
    for offset in [0, Self.second] { disk.flipBit(0, at: offset, in: Self.name) }
    #expect(throws: RecoveryError.self) { try open(disk) }
    disk.delete(Self.name)
    #expect(throws: RecoveryError.self) { try open(disk) }
  }

  @Test("another node's hard state is refused")
  func foreign() throws {
    let disk = try written(state(4))
    #expect(throws: RecoveryError.foreign("hard-state belongs to node abc, not to 1")) {
      try HardStateStore.recover(disk: disk, node: NodeID(1), clock: { .zero })
    }
  }

  @Test("a failed write is reported once, and nothing is reported durable after it")
  func failure() throws {
    let disk = try LogBench.emptyDisk()
    let store = try open(disk)
    var reports = 0
    var failures = 0
    store.didPersist = { _ in reports += 1 }
    store.onFailure = { _ in failures += 1 }
    disk.fault = { access, _ in access == .write ? 5 : nil }
    for term in 1...3 {
      store.write(state(UInt64(term)))
      while disk.step() {}
    }
    #expect(reports == 0 && failures == 1)
  }

  @Test("at every crash the last reported state, or a newer one that was asked for, is found")
  func crashes() throws {
    for seed in 0..<200 {
      var random = Random(seed: UInt64(seed))
      let disk = try LogBench.emptyDisk(seed: UInt64(seed))
      disk.shortWrites = 80
      var reported = state(0)
      var asked = state(0)
      for _ in 0..<4 {
        disk.accessesUntilCrash = Int.random(in: 1...20, using: &random)
        if let store = try? open(disk) {
          #expect(store.durable.currentTerm >= reported.currentTerm, "seed \(seed)")
          #expect(store.durable.currentTerm <= asked.currentTerm, "seed \(seed)")
          asked = store.durable
          reported = store.durable
          store.didPersist = { reported = $0 }
          while !disk.hasCrashed {
            asked = state(asked.currentTerm.rawValue + 1, random.next())
            store.write(asked)
            for _ in 0..<Int.random(in: 0...3, using: &random) { _ = disk.step() }
          }
          disk.crash(losingPower: Bool.random(using: &random))
        } else {
          disk.crash(losingPower: Bool.random(using: &random))
        }
      }
    }
  }
}
