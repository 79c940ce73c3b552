import Simulation

/// One seed in a process of its own; a failure is shown, and cut down while time lasts.
final class Replay {
  /// Of one run.
  private struct Run {
    var result: SeedResult
    var plan: [String] = []
    var rows: [String] = []
  }

  private let seed: UInt64
  private let schedule: Schedule
  private let options: Options
  private var worker: WorkerProcess?
  /// The last run that failed as the first one did.
  private var failing: Run

  /// Rows that are shown of a longer timeline: its end.
  private static let shownRows = 40
  /// Seconds for one run.
  private static let patience = 120.0

  init(_ seed: UInt64, _ schedule: Schedule, _ options: Options) {
    self.seed = seed
    self.schedule = schedule
    self.options = options
    failing = Run(result: SeedResult(seed: seed, failure: nil))
  }

  /// Returns whether the seed passes. The last line that it prints says so.
  func run() throws -> Bool {
    let first = try run(schedule, patience: Self.patience)
    defer { Output.say(first.result.sentence) }
    guard first.result.failure != nil else { return true }
    failing = first
    try explain()
    return false
  }

  /// Shows the failure, cuts it down, and says how to have it again.
  private func explain() throws {
    Output.say("seed \(seed): \(failing.result.failure?.description ?? "ok")")
    for line in Self.shortened(failing.rows) { Output.say(line) }
    if options.shrinkSeconds > 0 { shrink() }
    let given = options.schedule.map { " --schedule \($0)" } ?? ""
    Output.say("replay: raftkv-sim --seed \(seed)\(given)")
  }

  private func shrink() {
    let end = JobRunner.clock() + Double(options.shrinkSeconds)
    let kind = failing.result.failure?.kind
    let start = Simulator(seed: seed, schedule: schedule)
    var shrinker = Shrinker(
      schedule,
      fails: { [self] candidate in
        let left = min(Self.patience, max(1, end - JobRunner.clock()))
        // A hang is told from time running out by its kind alone, so it gets all the time there is.
        guard let run = try? run(candidate, patience: kind == "hang" ? Self.patience : left),
          run.result.failure?.kind == kind
        else { return false }
        failing = run
        return true
      }, isTimeUp: { JobRunner.clock() >= end })
    shrinker.run(
      hosts: start.hostCount, clients: start.clientCount, rage: start.rageTime,
      faultCount: { [self] in reachedCount })
    let lines = shrinker.schedule.lines(plan: failing.plan)
    guard shrinker.schedule != schedule, !lines.isEmpty else {
      return Output.say("\(shrinker.attempts) attempts cut nothing off")
    }
    Output.say("after \(shrinker.attempts) attempts, what is left still fails:")
    for line in Self.shortened(failing.rows) { Output.say(line) }
    Output.say(failing.result.failure?.description ?? "ok")
    Output.say("replay it: raftkv-sim --seed \(seed) --schedule FILE, with these lines in FILE:")
    for line in lines { Output.say("  \(line)") }
  }

  /// How many planned faults came before the end of the last run that failed.
  private var reachedCount: Int {
    guard failing.result.events > 0 else { return failing.plan.count }  // It trapped.
    let end = failing.result.virtualSeconds
    return failing.plan.prefix { Double($0.prefix { $0 != " " }) ?? 0 <= end }.count
  }

  private static func shortened(_ rows: [String]) -> [String] {
    guard rows.count > shownRows + 1 else { return rows }
    return [rows[0], "  … \(rows.count - shownRows - 1) rows"] + rows.suffix(shownRows)
  }

  // MARK: Runs

  private func run(_ schedule: Schedule, patience: Double) throws -> Run {
    let worker = try self.worker ?? WorkerProcess(CommandLineTool.workerCommand(options))
    self.worker = worker
    let text = schedule.lines().joined(separator: ";")
    worker.send("show \(seed) \(text)")
    var run = Run(result: SeedResult(seed: seed, failure: nil))
    var lastWords: [String] = []
    let end = JobRunner.clock() + patience
    while JobRunner.clock() < end {
      WorkerProcess.poll([worker], milliseconds: 500)
      guard let lines = worker.receive() else {
        self.worker = nil
        run.result.failure = JobRunner.failure(worker.wait(), lastWords: lastWords)
        return run
      }
      for line in lines {
        if line.hasPrefix("row ") {
          run.rows.append(String(line.dropFirst(4)))
        } else if line.hasPrefix("plan ") {
          run.plan.append(String(line.dropFirst(5)))
        } else if let result = SeedResult(parsing: line) {
          run.result = result
          return run
        } else {
          lastWords.append(line)
        }
      }
    }
    self.worker = nil
    worker.kill()
    run.result.failure = JobRunner.failure(
      worker.wait(), lastWords: [], hungAfter: patience)
    return run
  }
}
