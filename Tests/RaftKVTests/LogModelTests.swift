import RaftKV
import Simulation
import Testing

/// The log against a model that is obviously right, on a disk that dies at every possible access.
@Suite("LogStore against a model")
struct LogModelTests {
  @Test("nothing acknowledged is lost, nothing truncated comes back", arguments: 0..<20)
  func randomLives(group: Int) throws {
    for seed in 0..<15 {
      var run = try ModelRun(seed: UInt64(group * 1000 + seed))
      try run.run(lives: 6)
    }
  }

  @Test("a crash at each single access of one busy life")
  func everyAccess() throws {
    var access = 1
    var reachedEnd = false
    while !reachedEnd {
      var run = try ModelRun(seed: 77)
      reachedEnd = try !run.live(operations: 40, crashAt: access)
      try run.restart(losingPower: true)
      access += 1
    }
    #expect(access > 60, "a life of 40 operations has more accesses than that")
  }
}

private struct ModelRun {
  /// What the log is after some number of operations.
  struct State: Equatable {
    /// What a reset left before the first entry.
    var start = EntryID.zero
    var entries: [EntryID] = []

    var last: EntryID { entries.last ?? start }

    func covers(_ entry: EntryID) -> Bool { entry == start || entries.contains(entry) }
  }

  let seed: UInt64
  let disk: SimulatedDisk
  var random: Random
  /// states[0] is what this life began with; one more with each operation.
  var states = [State()]
  /// How many operations are known to be durable.
  var acknowledged = 0
  /// By ticket, minus one.
  var operationsAtTicket: [Int] = []
  var snapshot = EntryID.zero
  var term: UInt64 = 1
  var bench: LogBench?

  init(seed: UInt64) throws {
    self.seed = seed
    random = Random(seed: seed)
    disk = try LogBench.emptyDisk(seed: seed)
    disk.shortWrites = Bool.random(using: &random) ? 60 : 0
    bench = try LogBench(disk, seed: seed)
  }

  mutating func run(lives: Int) throws {
    for _ in 0..<lives {
      _ = try live(
        operations: Int.random(in: 1...60, using: &random),
        crashAt: Int.random(in: 1...400, using: &random))
      try restart(losingPower: Int.random(in: 0..<4, using: &random) > 0)
    }
  }

  /// Returns whether the disk died before the operations were through.
  mutating func live(operations: Int, crashAt: Int) throws -> Bool {
    guard let bench else { return false }
    disk.accessesUntilCrash = crashAt
    for _ in 0..<operations where !disk.hasCrashed {
      operate(bench)
      for _ in 0..<Int.random(in: 0...6, using: &random) { _ = disk.step() }
      noteTickets(bench)
      if Int.random(in: 0..<10, using: &random) == 0 { checkReads(bench) }
    }
    if !disk.hasCrashed, Bool.random(using: &random) { bench.drain() }
    noteTickets(bench)
    #expect(bench.failures.isEmpty, "seed \(seed)")
    return disk.hasCrashed
  }

  private mutating func operate(_ bench: LogBench) {
    var state = states[states.count - 1]
    switch Int.random(in: 0..<40, using: &random) {
    case 0..<24:
      for _ in 0..<Int.random(in: 1...5, using: &random) {
        if Int.random(in: 0..<12, using: &random) == 0 { term += 1 }
        let id = EntryID(index: state.last.index.next, term: Term(term))
        let size = Int.random(in: 0..<40, using: &random) == 0 ? 3000 : Self.size(id)
        bench.append(term: term, size: size == 3000 ? 3000 : Self.size(id))
        state.entries.append(id)
        states.append(state)
      }
      if Int.random(in: 0..<3, using: &random) > 0 { flush(bench) }
    case 24..<29:
      let floor = max(snapshot.index, state.start.index)
      guard state.last.index > floor else { return }
      let length = Int.random(in: 1...(state.last.index - floor), using: &random)
      state.entries.removeLast(min(length, state.entries.count))
      bench.log.truncate(after: state.last)
      term += 1
      states.append(state)
      flush(bench)
    case 29:
      term += 1
      let distance = Int.random(in: 0...20, using: &random)
      let entry = EntryID(
        index: max(snapshot.index, state.start.index) + distance, term: Term(term))
      guard !state.covers(entry), entry.index > snapshot.index else { return }
      snapshot = entry
      bench.log.reset(to: entry)
      states.append(State(start: entry))
      flush(bench)
    case 30..<34:
      guard let entry = state.entries.randomElement(using: &random),
        entry.index > snapshot.index
      else { return }
      snapshot = entry
      bench.log.compact(through: entry)
    case 34: bench.log.isHeld.toggle()
    case 35:
      bench.log.isHeld = false
      bench.seal()
    default:
      bench.log.appliedIndex = max(bench.log.appliedIndex, snapshot.index)
    }
    #expect(bench.log.lastEntry == states[states.count - 1].last, "seed \(seed)")
  }

  private mutating func flush(_ bench: LogBench) {
    operationsAtTicket.append(states.count - 1)
    bench.flush()
  }

  private mutating func noteTickets(_ bench: LogBench) {
    #expect(bench.persisted == Array(1..<UInt64(bench.persisted.count + 1)), "seed \(seed)")
    if let ticket = bench.persisted.last { acknowledged = operationsAtTicket[Int(ticket) - 1] }
  }

  mutating func restart(losingPower: Bool) throws {
    // The old process lives until the disk has let go of its buffers.
    disk.crash(losingPower: losingPower)
    bench = nil
    while bench == nil {
      // Sometimes the start itself is cut short.
      if Int.random(in: 0..<3, using: &random) == 0 {
        disk.accessesUntilCrash = Int.random(in: 1...30, using: &random)
      }
      do throws(RecoveryError) {
        bench = try LogBench(disk, snapshot: snapshot, seed: random.next())
        disk.accessesUntilCrash = nil
      } catch {
        guard disk.hasCrashed else {
          Issue.record("seed \(seed): \(error)")
          throw error
        }
        disk.crash(losingPower: losingPower)
      }
    }
    guard let bench else { return }
    check(bench)
  }

  /// The log that was found is that of some moment between the last acknowledgement and the crash.
  private mutating func check(_ bench: LogBench) {
    let base = bench.recovered.base
    let found = bench.recovered.entries.enumerated().map { ordinal, header in
      EntryID(index: base.index + (ordinal + 1), term: header.term)
    }
    let candidates = states[acknowledged...].map {
      $0.covers(snapshot) ? $0 : State(start: snapshot)
    }
    let match = candidates.last { state in
      state.last == (found.last ?? base) && state.covers(base)
        && state.entries.filter { $0.index > base.index } == found
    }
    guard let match else {
      Issue.record("seed \(seed): the log after the crash is of no moment before it")
      return
    }
    states = [match]
    acknowledged = 0
    operationsAtTicket = []
    checkReads(bench)
  }

  /// Every entry above the base can be read, from memory or from disk, as it was written.
  private func checkReads(_ bench: LogBench) {
    let state = states[states.count - 1]
    for id in state.entries where id.index > bench.log.base.index {
      var payload = bench.log.withEntry(at: id.index) { record in
        record.id == id ? Array(record.payload) : nil
      }
      if payload == nil {
        bench.log.readRecords(from: id.index, through: id.index, maxBytes: 1) { slice in
          guard let slice else { return }
          var reader = ByteReader(slice.records)
          payload = reader.readEntry().flatMap { $0.id == id ? Array($0.payload) : nil }
        }
        bench.drain()
        if disk.hasCrashed { return }
      }
      guard let found = payload.flatMap({ $0 }) else {
        Issue.record("seed \(seed): entry \(id) cannot be read")
        return
      }
      #expect(found == LogBench.payload(id, size: found.count), "seed \(seed)")
    }
  }

  private static func size(_ id: EntryID) -> Int {
    Int((id.index.rawValue &* 7919 &+ id.term.rawValue &* 104_729) % 300)
  }
}
