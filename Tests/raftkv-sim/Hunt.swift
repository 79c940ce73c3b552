#if PLANTED_BUGS
import RaftKV
import Simulation

/// How many seeds it takes to find each of some planted bugs.
///
/// Every seed is run as the code is meant first. If that fails, something else was found, and the seed
/// says nothing about bugs. If it passes, it is run with each bug that is still alive and whose site it
/// went through: with any other it would be the very same run. A failure then is a kill; what is merely
/// late must be so in two seeds, and a run that does not end on a busy machine proves nothing.
final class Hunt {
  private let options: Options
  private var alive: [PlantedBug]
  /// How many seeds went through the site of each bug.
  private var reached: [Int]
  /// Those that made one seed late.
  private var suspected: [PlantedBug] = []
  private let start = JobRunner.clock()

  /// Kinds of failures that say "not in time" instead of "wrong".
  private static let slow = ["liveness", "convergence", "calm"]
  /// Seconds for one run.
  private static let patience = 60.0

  init(_ options: Options, _ bugs: [PlantedBug]) {
    self.options = options
    alive = bugs
    reached = Array(repeating: 0, count: PlantedBug.allCases.count)
  }

  /// Returns whether none survived. Says of each bug what became of it, in a line.
  func run() throws -> Bool {
    var seeds = 0
    while seeds < options.count ?? 0, !alive.isEmpty, !isTimeUp {
      let seed = options.from + UInt64(seeds)
      seeds += 1
      let plain = try run(seed, nil)
      if let failure = plain.failure {
        Output.say("seed \(seed) fails without any bug: \(failure.description)")
        continue
      }
      for bug in alive where plain.hasHit(markAt: Marks.position(ofSite: bug)) && !isTimeUp {
        reached[bug.number] += 1
        guard let failure = try run(seed, bug).failure, failure.kind != "hang" else { continue }
        if Self.slow.contains(failure.kind) {
          if options.isSafetyOnly { continue }
          guard suspected.contains(bug) else {
            suspected.append(bug)
            continue
          }
        }
        alive.removeAll { $0 == bug }
        let how = "\(failure.kind): \(failure.message)"
        Output.say("killed \(bug) seed \(seed) seeds \(seeds) by \(how)")
      }
    }
    let fate = isTimeUp ? "unfinished" : "survived"
    for bug in alive {
      Output.say("\(fate) \(bug) seeds \(seeds) reached \(reached[bug.number])")
    }
    return alive.isEmpty || isTimeUp
  }

  private var isTimeUp: Bool {
    options.seconds.map { JobRunner.clock() - start > Double($0) } ?? false
  }

  private func run(_ seed: UInt64, _ bug: PlantedBug?) throws -> SeedResult {
    var options = options
    options.plant = bug.map { "\($0)" }
    var seeds = [seed]
    var result = SeedResult(seed: seed, failure: nil)
    var runner = JobRunner(
      command: CommandLineTool.workerCommand(options), jobs: 1, patience: Self.patience)
    try runner.run(
      next: {
        defer { seeds = [] }
        return seeds
      }, take: { result = $0 }, tick: {})
    return result
  }
}
#endif
