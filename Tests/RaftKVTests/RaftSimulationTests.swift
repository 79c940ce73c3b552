import Glibc
import RaftKV
import Testing

/// Random schedules over the harness. Every seed is a whole story: a cluster, its faults, and at
/// the end peace, in which it must agree.
@Suite("Raft under random schedules")
struct RaftSimulationTests {
  @Test("safety holds after every event, and a healed cluster converges")
  func schedules() {
    for seed in Self.seeds {
      if Self.isVerbose { Self.announce(seed) }
      let simulation = RaftSimulation(seed: seed, isTracing: Self.isTracing)
      simulation.run()
      if Self.isTracing { print(simulation.harness.trace.joined(separator: "\n")) }
      #expect(simulation.harness.failures.isEmpty, "RAFT_SEEDS=\(seed)-\(seed)")
    }
  }

  /// `RAFT_SEEDS=1000-2000` runs others, `RAFT_TRACE=1` shows what happens in them.
  private static var seeds: ClosedRange<UInt64> {
    guard let text = getenv("RAFT_SEEDS").map({ String(cString: $0) }) else { return 1...200 }
    let bounds = text.split(separator: "-").compactMap { UInt64($0) }
    return bounds.count == 2 && bounds[0] <= bounds[1] ? bounds[0]...bounds[1] : 1...200
  }
  private static var isVerbose: Bool { getenv("RAFT_SEEDS") != nil }
  /// Unbuffered, so that the seed is known even if the engine stops the process.
  private static func announce(_ seed: UInt64) {
    _ = "seed \(seed)\n".withCString { write(2, $0, strlen($0)) }
  }
  private static var isTracing: Bool { getenv("RAFT_TRACE") != nil }
}
