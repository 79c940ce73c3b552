import Simulation
import Testing

/// The workers are shell scripts: they answer as a simulator would, and die as told.
@Suite("JobRunner", .serialized)
struct JobRunnerTests {
  /// A worker that passes every seed but those that `cases` (of a shell's `case`) treats otherwise.
  private func worker(_ cases: String) -> [String] {
    let script = """
      while read -r verb seeds; do
        for seed in $seeds; do
          case $seed in
          \(cases)
          *) echo "result $seed ff 10 2000000000 5 ok" ;;
          esac
        done
      done
      """
    return ["/bin/sh", "-c", script]
  }

  private func run(
    _ command: [String], jobs: Int, patience: Double = 300, seeds: Range<UInt64>, chunk: Int = 4
  ) throws -> [SeedResult] {
    var rest = seeds
    var results: [SeedResult] = []
    var runner = JobRunner(command: command, jobs: jobs, patience: patience)
    try runner.run(
      next: {
        defer { rest = rest.dropFirst(chunk) }
        return Array(rest.prefix(chunk))
      }, take: { results.append($0) }, tick: {})
    return results.sorted { $0.seed < $1.seed }
  }

  @Test("every seed is run once, whatever the number of workers", arguments: [1, 2, 5])
  func all(jobs: Int) throws {
    let results = try run(worker(""), jobs: jobs, seeds: 1..<40)
    #expect(results.map(\.seed) == Array(1..<40))
    #expect(results.allSatisfy { $0.failure == nil && $0.events == 10 })
    #expect(results[0].hasHit(markAt: 0) && !results[0].hasHit(markAt: 1))
  }

  @Test("a worker that traps fails the seed it was at, and the rest goes on", arguments: [1, 3])
  func trap(jobs: Int) throws {
    let results = try run(
      worker("7|10|11) echo 'Fatal error: a leader without a log'; kill -ILL $$ ;;"), jobs: jobs,
      seeds: 1..<20)
    #expect(results.map(\.seed) == Array(1..<20))
    for result in results {
      guard [7, 10, 11].contains(result.seed) else {
        #expect(result.failure == nil)
        continue
      }
      let failure = try #require(result.failure)
      #expect(failure.kind == "trap")
      #expect(failure.message.contains("signal 4"))
      #expect(failure.message.contains("a leader without a log"))
    }
  }

  @Test("a worker that exits in the middle has failed its seed, too")
  func exits() throws {
    let results = try run(worker("3) exit 9 ;;"), jobs: 1, seeds: 1..<6)
    #expect(results.map(\.seed) == Array(1..<6))
    let failure = try #require(results[2].failure)
    #expect(failure.message.contains("code 9"))
    #expect(results.filter { $0.failure != nil }.count == 1)
  }

  @Test("a seed that does not end is ended")
  func hang() throws {
    let results = try run(
      worker("2) exec sleep 600 ;;"), jobs: 1, patience: 5, seeds: 1..<4)
    #expect(results.map(\.seed) == [1, 2, 3])
    #expect(results.map { $0.failure?.kind } == [nil, "hang", nil])
  }

  @Test("what a worker says of a failure arrives as it was")
  func failure() throws {
    let line = "result $seed 1f 44 1500000000 0 failed durability n1 forgot its vote in term 3"
    let results = try run(worker("2) echo \"\(line)\" ;;"), jobs: 1, seeds: 1..<3)
    let result = results[1]
    #expect(result.failure?.kind == "durability")
    #expect(
      result.sentence
        == "seed 2 trace 000000000000001f events 44 virtual 1.5s FAILED invariant durability: "
        + "n1 forgot its vote in term 3")
    #expect(SeedResult(parsing: result.line) == result)
  }

  @Test("lines that are no result are not taken for one")
  func noResult() {
    for line in ["", "result", "result 1 2 3", "result x 1 2 3 0 ok", "result 1 1 2 3 0 maybe"] {
      #expect(SeedResult(parsing: line) == nil, "\(line)")
    }
  }

  @Test("a worker that cannot be started is an error")
  func noWorker() {
    #expect(throws: WorkerProcess.SpawnError.self) {
      _ = try run(["/nonexistent/worker"], jobs: 1, seeds: 1..<3)
    }
  }
}
