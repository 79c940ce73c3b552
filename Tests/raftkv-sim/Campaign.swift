import Glibc
import Simulation

/// Many seeds, one after the other, with a line of progress now and then.
struct Campaign {
  private let options: CommandLineTool.Options
  private var marks = Marks()
  private var seeds = 0
  private var events = 0
  private var virtualSeconds = 0.0
  private var failures: [UInt64] = []
  private let start = Campaign.clock()
  private var lastReport = Campaign.clock()

  init(_ options: CommandLineTool.Options) { self.options = options }

  /// Returns whether every seed passed.
  mutating func run() -> Bool {
    for offset in 0..<UInt64(options.count) {
      if let limit = options.seconds, Self.clock() - start > Double(limit) { break }
      run(options.from + offset)
      if Self.clock() - lastReport > 5 { report() }
    }
    report()
    let missing = marks.missing.map { "\($0)" }.joined(separator: " ")
    if !missing.isEmpty { print("marks never hit: \(missing)") }
    if !failures.isEmpty {
      print("failed: " + failures.map { "\($0)" }.joined(separator: " "))
    }
    return failures.isEmpty
  }

  private mutating func run(_ seed: UInt64) {
    // If the code under test traps, the last line says where.
    CommandLineTool.complain("\rseed \(seed) ")
    let outcome = Simulator(seed: seed).run()
    seeds += 1
    events += outcome.events
    virtualSeconds += outcome.virtualSeconds
    marks.add(outcome.marks)
    guard let failure = outcome.failure else { return }
    failures.append(seed)
    print("seed \(seed) FAILED invariant \(failure.invariant.rawValue): \(failure.message)")
    print("replay: raftkv-sim --seed \(seed)")
  }

  private mutating func report() {
    lastReport = Self.clock()
    let elapsed = max(lastReport - start, 0.001)
    print(
      "seeds \(seeds) failed \(failures.count) virtual \(CommandLineTool.tenths(virtualSeconds / 3600)) h "
        + "(\(Int(virtualSeconds / elapsed)) x) events/s \(Int(Double(events) / elapsed)) "
        + "marks \(marks.hitCount)/\(Mark.allCases.count)")
  }

  private static func clock() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
