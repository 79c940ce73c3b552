import Simulation

/// The child's side: a job in each line of the input, answers on the output.
///
/// ```
/// run SEED…              a result for each
/// show SEED SCHEDULE     the plan, the timeline, the result
/// ```
/// Every line leaves at once, for the next event may be a trap.
struct SeedWorker {
  let isTwice: Bool

  func serve() {
    while let line = readLine() {
      let words = line.split(separator: " ", maxSplits: 2)
      switch words.first {
      case "run":
        for word in line.split(separator: " ").dropFirst() {
          if let seed = UInt64(word) { Output.say(run(seed).line) }
        }
      case "show":
        guard words.count >= 2, let seed = UInt64(words[1]),
          let schedule = Schedule(parsing: words.count == 3 ? String(words[2]) : "")
        else { return }
        Output.say(show(seed, schedule).line)
      default: return
      }
    }
  }

  private func run(_ seed: UInt64) -> SeedResult {
    let result = SeedResult(Simulator(seed: seed).run())
    // One in a hundred always: a run that cannot be had again explains nothing.
    guard isTwice || seed % 100 == 0 else { return result }
    return compare(result, SeedResult(Simulator(seed: seed).run()))
  }

  private func show(_ seed: UInt64, _ schedule: Schedule) -> SeedResult {
    var simulator = Simulator(seed: seed, schedule: schedule)
    simulator.didPlan = { plan in for fault in plan { Output.say("plan \(fault)") } }
    simulator.listen(timeline: { Output.say("row \($0)") })
    let result = SeedResult(simulator.run())
    guard isTwice else { return result }
    return compare(result, SeedResult(Simulator(seed: seed, schedule: schedule).run()))
  }

  private func compare(_ first: SeedResult, _ second: SeedResult) -> SeedResult {
    guard first != second else { return first }
    var result = first
    result.failure = SeedResult.Failure(
      kind: "determinism",
      message: "the same seed gave another run: \(first.sentence); \(second.sentence)")
    return result
  }
}
