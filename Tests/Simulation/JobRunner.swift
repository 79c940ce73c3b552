import Glibc

/// Many seeds in several processes. Processes rather than threads: one thread per world keeps a run
/// the same every time, and a world that traps takes nothing but its worker along.
///
/// A worker gets lines `run SEED…` and answers each seed with a `SeedResult` in a line, in order.
/// Whatever else it says since its last result are its last words, should it die: the seed it was
/// at has then failed, and another worker goes on with the rest.
package struct JobRunner {
  private final class Worker {
    let process: WorkerProcess
    var seeds: ArraySlice<UInt64> = []
    var since = JobRunner.clock()
    var lastWords: [String] = []
    var hasHung = false

    init(_ process: WorkerProcess) { self.process = process }
  }

  private let command: [String]
  private let jobs: Int
  /// Seconds after which a seed that has not ended is ended.
  private let patience: Double
  private var workers: [Worker] = []
  /// Left behind by workers that died.
  private var returned: [UInt64] = []

  package init(command: [String], jobs: Int, patience: Double = 300) {
    self.command = command
    self.jobs = max(1, jobs)
    self.patience = patience
  }

  /// Asks `next` for seeds until it has none, and hands every result to `take`; calls `tick` at
  /// least every half second.
  package mutating func run(
    next: () -> [UInt64], take: (SeedResult) -> Void, tick: () -> Void
  ) throws(WorkerProcess.SpawnError) {
    var isOver = false
    while true {
      while !isOver || !returned.isEmpty, workers.count < jobs {
        let seeds = pick(from: next)
        if seeds.isEmpty { isOver = true } else { try start(seeds[...]) }
      }
      guard !workers.isEmpty else { return }
      WorkerProcess.poll(workers.map(\.process), milliseconds: 500)
      for worker in workers {
        receive(from: worker, take)
        guard worker.seeds.isEmpty, !worker.hasHung, isRunning(worker) else { continue }
        let seeds = isOver && returned.isEmpty ? [] : pick(from: next)
        if seeds.isEmpty {
          isOver = true
          remove(worker)
        } else {
          give(seeds[...], to: worker)
        }
      }
      tick()
    }
  }

  private mutating func pick(from next: () -> [UInt64]) -> [UInt64] {
    guard returned.isEmpty else {
      defer { returned = [] }
      return returned
    }
    return next()
  }

  private mutating func start(_ seeds: ArraySlice<UInt64>) throws(WorkerProcess.SpawnError) {
    let worker = Worker(try WorkerProcess(command))
    workers.append(worker)
    give(seeds, to: worker)
  }

  private func give(_ seeds: ArraySlice<UInt64>, to worker: Worker) {
    worker.seeds = seeds
    worker.since = Self.clock()
    worker.process.send("run " + seeds.map { "\($0)" }.joined(separator: " "))
  }

  private func isRunning(_ worker: Worker) -> Bool { workers.contains { $0 === worker } }

  private mutating func receive(from worker: Worker, _ take: (SeedResult) -> Void) {
    let lines = worker.process.receive()
    for line in lines ?? [] {
      guard let result = SeedResult(parsing: line), result.seed == worker.seeds.first else {
        worker.lastWords.append(line)
        continue
      }
      worker.seeds.removeFirst()
      worker.since = Self.clock()
      worker.lastWords = []
      take(result)
    }
    if lines == nil { return didEnd(worker, take) }
    if !worker.seeds.isEmpty, !worker.hasHung, Self.clock() - worker.since > patience {
      worker.hasHung = true
      worker.process.kill()
    }
  }

  private mutating func didEnd(_ worker: Worker, _ take: (SeedResult) -> Void) {
    workers.removeAll { $0 === worker }
    let ending = worker.process.wait()
    guard let seed = worker.seeds.popFirst() else { return }
    returned += worker.seeds
    take(
      SeedResult(
        seed: seed,
        failure: Self.failure(
          ending, lastWords: worker.lastWords, hungAfter: worker.hasHung ? patience : nil)))
  }

  private mutating func remove(_ worker: Worker) {
    workers.removeAll { $0 === worker }
    _ = worker.process.wait()
  }

  /// What a worker's death says of the seed that it was at.
  package static func failure(
    _ ending: WorkerProcess.Ending, lastWords: [String], hungAfter patience: Double? = nil
  ) -> SeedResult.Failure {
    if let patience {
      return SeedResult.Failure(kind: "hang", message: "not over after \(Int(patience)) s")
    }
    // What went wrong comes first; a dump of the stack may follow.
    let words = lastWords.filter { !$0.isEmpty }.prefix(2)
    let said = words.isEmpty ? "" : ": " + words.joined(separator: " ")
    return SeedResult.Failure(kind: "trap", message: "the process \(ending.sentence)\(said)")
  }

  /// Seconds of a clock that does not jump.
  package static func clock() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
