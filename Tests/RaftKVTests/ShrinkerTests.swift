import Simulation
import Testing

@Suite("Shrinker")
struct ShrinkerTests {
  /// Shrinks a plan of `count` faults of which a run fails if `fails` says so.
  private func shrink(
    _ count: Int, isTimeUp: @escaping () -> Bool = { false }, _ fails: @escaping (Schedule) -> Bool
  ) -> Shrinker {
    var shrinker = Shrinker(Schedule(), fails: fails, isTimeUp: isTimeUp)
    shrinker.run(hosts: 5, clients: 6, rage: 40_000_000_000, faultCount: { count })
    return shrinker
  }

  private func keeps(_ schedule: Schedule, _ needed: [Int], of count: Int) -> Bool {
    let kept = schedule.kept ?? Array(0..<count)
    return needed.allSatisfy { kept.contains($0) }
  }

  @Test("what is left is just what the failure needs")
  func minimal() {
    for needed in [[0], [79], [3, 17], [5, 6, 7], [0, 40, 41, 79], [1, 2, 30, 31, 60]] {
      let shrinker = shrink(80) { schedule in
        keeps(schedule, needed, of: 80) && (schedule.hosts ?? 5) >= 3
          && (schedule.clients ?? 6) >= 2 && (schedule.rage ?? 40_000_000_000) >= 10_000_000_000
      }
      let schedule = shrinker.schedule
      #expect(schedule.kept == needed)
      #expect(schedule.hosts == 3)
      #expect(schedule.clients == 3, "halves of 6 are 3 and 1, and 1 is too few")
      #expect(schedule.rage == 10_000_000_000)
      #expect(schedule.pause == 64)
      #expect(shrinker.attempts < 400)
    }
  }

  @Test("a failure that needs no fault is left with none")
  func needsNothing() {
    let shrinker = shrink(80) { _ in true }
    #expect(shrinker.schedule.kept == [])
    #expect(shrinker.schedule.hosts == 1)
    #expect(shrinker.schedule.clients == 1)
  }

  @Test("a failure that needs everything keeps it")
  func needsEverything() {
    let shrinker = shrink(7) { schedule in
      keeps(schedule, Array(0..<7), of: 7) && schedule.hosts == nil && schedule.clients == nil
        && schedule.rage == nil && schedule.pause == 1
    }
    #expect(shrinker.schedule.kept == Array(0..<7))
    #expect(shrinker.schedule.hosts == nil)
  }

  @Test("when time is up, what is left is the last that failed")
  func timeIsUp() {
    var attempts = 0
    var lastFailing = Schedule()
    let fails: (Schedule) -> Bool = { schedule in
      attempts += 1
      guard keeps(schedule, [12, 60], of: 80) else { return false }
      lastFailing = schedule
      return true
    }
    let shrinker = shrink(80, isTimeUp: { attempts >= 9 }, fails)
    #expect(attempts == 9)
    #expect(shrinker.schedule.kept?.count ?? 80 < 80 || shrinker.schedule.hosts != nil)
    #expect(
      shrinker.schedule == lastFailing || shrinker.schedule.kept == Array(0..<80),
      "only a run that failed is believed")
  }

  // MARK: The text

  @Test("a schedule survives its text, as lines and in one line")
  func text() throws {
    var schedule = Schedule()
    schedule.hosts = 3
    schedule.clients = 2
    schedule.pause = 4
    schedule.rage = 12_500_000_000
    schedule.kept = [0, 17, 22]
    let lines = schedule.lines(plan: ["0.100000 kill n1", "0.2 cut n1 n2"])
    #expect(lines.contains("keep 0  # 0.100000 kill n1"))
    #expect(Schedule(parsing: lines.joined(separator: "\n")) == schedule)
    #expect(Schedule(parsing: schedule.lines().joined(separator: ";")) == schedule)
    schedule.kept = []
    #expect(Schedule(parsing: schedule.lines().joined(separator: ";")) == schedule)
    #expect(Schedule(parsing: "") == Schedule())
    #expect(Schedule(parsing: "\n # only words\n\n") == Schedule())
  }

  @Test(
    "what is no schedule is refused",
    arguments: [
      "keep", "keep x", "hosts 0", "hosts 8", "clients 0", "pause 0", "rage -1", "stop 1",
    ]
  )
  func noSchedule(_ text: String) {
    #expect(Schedule(parsing: text) == nil)
  }

  // MARK: With a world

  @Test("a seed tells its plan and its story, and a schedule leaves out what it does not keep")
  func world() throws {
    var schedule = Schedule()
    schedule.rage = 1_000_000_000
    var plan: [String] = []
    var rows: [String] = []
    var simulator = Simulator(seed: 1, schedule: schedule)
    simulator.didPlan = { plan = $0 }
    simulator.listen(timeline: { rows.append($0) })
    let first = SeedResult(simulator.run())
    #expect(first == SeedResult(Simulator(seed: 1, schedule: schedule).run()), "listening is free")
    #expect(!plan.isEmpty)
    #expect(rows.contains { $0.contains("leads in term") })
    schedule.kept = []
    var calmRows: [String] = []
    let calm = Simulator(seed: 1, schedule: schedule)
    calm.listen(timeline: { calmRows.append($0) })
    _ = calm.run()
    #expect(!calmRows.contains { $0.contains("fault:") })
  }
}
