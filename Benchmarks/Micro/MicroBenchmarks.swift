/// usage: raftkv-bench [NAME-PART [ROUNDS]]
///
/// The parts that a request goes through, one by one, on one thread. Where it all comes together is
/// for `Benchmarks/run`.
@main
enum MicroBenchmarks {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    let measurement = Measurement(
      filter: arguments.first ?? "", rounds: arguments.dropFirst().first.flatMap { Int($0) } ?? 9)
    Measurement.printHead()
    RequestBenchmarks.run(measurement)
    MapBenchmarks.run(measurement)
    RaftBenchmarks.run(measurement)
    try LogBenchmarks.run(measurement)
  }
}
