import Simulation

/// How many seeds it takes to find a planted bug.
///
/// A failure counts only where the same seed passes without the bug. Where the code as it is meant
/// fails as well, something else was found, and it is said.
final class Hunt {
  private let options: Options
  private var unstarted: Range<UInt64>
  private var seeds = 0
  private var killer: SeedResult?
  private let start = JobRunner.clock()

  /// Kinds of failures that say "not in time" instead of "wrong".
  private static let slow = ["liveness", "convergence", "calm", "hang"]

  init(_ options: Options) {
    self.options = options
    let (end, isTooFar) = options.from.addingReportingOverflow(options.count ?? 0)
    unstarted = options.from..<(isTooFar ? .max : end)
  }

  /// Returns whether the bug was found. The last line says so.
  func run() throws -> Bool {
    var runner = JobRunner(
      command: CommandLineTool.workerCommand(options), jobs: options.jobs, patience: 120)
    try runner.run(next: { nextSeed() }, take: { add($0) }, tick: {})
    guard let killer, let failure = killer.failure else {
      Output.say("survived seeds \(seeds)")
      return false
    }
    Output.say(
      "killed seed \(killer.seed) seeds \(seeds) by \(failure.kind): \(failure.message)")
    return true
  }

  private func nextSeed() -> [UInt64] {
    if let limit = options.seconds, JobRunner.clock() - start > Double(limit) { return [] }
    guard killer == nil, let seed = unstarted.popFirst() else { return [] }
    return [seed]
  }

  private func add(_ result: SeedResult) {
    seeds += 1
    guard killer == nil, let failure = result.failure else { return }
    if options.isSafetyOnly, Self.slow.contains(failure.kind) { return }
    guard let plain = plainFailure(of: result.seed) else {
      killer = result
      return
    }
    Output.say("seed \(result.seed) fails without the bug as well: \(plain.description)")
  }

  /// What the seed does without the bug; nil where it passes.
  private func plainFailure(of seed: UInt64) -> SeedResult.Failure? {
    var plain = options
    plain.plant = nil
    var seeds = [seed]
    var failure: SeedResult.Failure?
    var runner = JobRunner(
      command: CommandLineTool.workerCommand(plain), jobs: 1, patience: 120)
    do {
      try runner.run(
        next: {
          defer { seeds = [] }
          return seeds
        }, take: { failure = $0.failure }, tick: {})
    } catch {
      return SeedResult.Failure(kind: "spawn", message: "\(error)")
    }
    return failure
  }
}
