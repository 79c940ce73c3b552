import Testing

extension DaemonTests {
  /// What the documents tell their readers to type is typed: see Tests/Documents/run.
  @Suite("Documents")
  struct DocumentTests {
    @Test(
      "every command of a document works, in its order",
      arguments: ["README.md", "docs/operations.md"])
    func session(document: String) throws {
      let runner = "\(Checkout.root)/Tests/Documents/run"
      let run = try Shell.run(
        "env BINARY=\(Program.path) \(runner) \(Checkout.root)/\(document)", within: 600)
      print(run.output)
      #expect(run.code == 0, "\(run.output)")
    }
  }
}
