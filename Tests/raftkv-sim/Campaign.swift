import Simulation

/// Many seeds in several processes, with a line of progress now and then.
final class Campaign {
  private let options: Options
  /// The seeds still to be run: a range, or the lines of a file.
  private var range: Range<UInt64>
  private var list: ArraySlice<UInt64>

  private var hits = Array(repeating: false, count: Marks.names.count)
  private var seeds = 0
  private var events = 0
  private var virtualSeconds = 0.0
  private var failures: [SeedResult] = []
  private let start = JobRunner.clock()
  private var lastReport = JobRunner.clock()

  /// Seconds between two lines.
  private static let reportInterval = 5.0
  /// Seeds that a worker is given at a time: few, so that all end at about the same time.
  private static let chunk = 8

  init(_ options: Options, from: UInt64, count: UInt64) {
    self.options = options
    let (end, isTooFar) = from.addingReportingOverflow(count)
    range = from..<(isTooFar ? .max : end)
    list = []
  }

  init(_ options: Options, seeds: [UInt64]) {
    self.options = options
    range = 0..<0
    list = seeds[...]
  }

  /// Returns whether every seed passed.
  func run() throws -> Bool {
    var runner = JobRunner(command: CommandLineTool.workerCommand(options), jobs: options.jobs)
    try runner.run(next: { nextSeeds() }, take: { add($0) }, tick: { reportIfDue() })
    let missing = zip(Marks.names, hits).filter { !$0.1 }.map(\.0)
    if options.regress == nil, !missing.isEmpty {
      Output.say("marks never hit: " + missing.joined(separator: " "))
    }
    Output.say(progress)
    guard !failures.isEmpty else { return true }
    // One is explained; the others may well be the same.
    failures.sort { $0.seed < $1.seed }
    _ = try Replay(failures[0].seed, Schedule(), options).run()
    Output.say("failed: " + failures.map { "\($0.seed)" }.joined(separator: " "))
    return false
  }

  private func nextSeeds() -> [UInt64] {
    if let limit = options.seconds, JobRunner.clock() - start > Double(limit) { return [] }
    if !list.isEmpty {
      defer { list = list.dropFirst(Self.chunk) }
      return Array(list.prefix(Self.chunk))
    }
    var seeds: [UInt64] = []
    while seeds.count < Self.chunk, let seed = range.popFirst() {
      if isWanted(seed) { seeds.append(seed) }
    }
    return seeds
  }

  private func isWanted(_ seed: UInt64) -> Bool {
    options.hostCount.map { $0 == Simulator(seed: seed).hostCount } ?? true
  }

  private func add(_ result: SeedResult) {
    seeds += 1
    events += result.events
    virtualSeconds += result.virtualSeconds
    for position in hits.indices where result.hasHit(markAt: position) { hits[position] = true }
    guard let failure = result.failure else { return }
    failures.append(result)
    Output.say("seed \(result.seed) \(failure.description)")
    Output.say("replay: raftkv-sim --seed \(result.seed)")
  }

  private func reportIfDue() {
    guard JobRunner.clock() - lastReport > Self.reportInterval else { return }
    lastReport = JobRunner.clock()
    Output.say(progress)
  }

  private var progress: String {
    let elapsed = max(JobRunner.clock() - start, 0.001)
    let hours = Output.tenths(virtualSeconds / 3600)
    let hit = hits.reduce(0) { $0 + ($1 ? 1 : 0) }
    return "seeds \(seeds) failed \(failures.count) virtual \(hours) h, "
      + "\(Int(virtualSeconds / elapsed)) h per hour, events/s \(Int(Double(events) / elapsed)), "
      + "marks \(hit)/\(hits.count)"
  }
}
