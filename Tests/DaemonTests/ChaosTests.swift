import Glibc
import Testing

extension DaemonTests {
  /// A short storm; `make soak` has the long ones.
  @Suite("Chaos")
  struct ChaosTests {
    @Test("kills, cuts, damage and membership under load: what clients saw is what was promised")
    func storm() throws {
      try Sandbox.run { sandbox in
        let log = "\(sandbox.directory)/chaos.log"
        // Slow and calm nodes, as in the other tests. The seed fixes what is done, not when it
        // meets the nodes. What a failure leaves behind stays: not in the sandbox.
        let process = try Program.spawn(
          [
            "--binary", Program.path, "--seed", "3", "--seconds", "14", "--storm", "7",
            "--rounds", "2", "--nodes", "3", "--clients", "4", "--election-timeout", "1000",
            "--mild",
          ], log: log, in: sandbox.directory, program: Program.beside("raftkv-chaos"))
        let code: Int32
        do { code = try Program.wait(for: process, within: 900) } catch {
          // It ends its nodes before itself.
          kill(process, SIGTERM)
          _ = try? Program.wait(for: process)
          throw error
        }
        try #require(code == 0, "\(Program.contents(of: log))")
        try #require(Program.contents(of: log).contains(" 0 failed; "))
      }
    }
  }
}
