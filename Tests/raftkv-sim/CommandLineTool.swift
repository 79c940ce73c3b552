import Glibc
import RaftKV
import Simulation

/// Runs the simulator: one seed, or many.
enum CommandLineTool {
  static func main() {
    guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
      Output.complain(Options.usage)
      exit(64)
    }
    #if PLANTED_BUGS
    plant(options)
    #else
    guard options.plant == nil, !options.isListingPlants else {
      Output.complain("raftkv-sim: this build has no planted bugs; see scripts/planted-bugs\n")
      exit(64)
    }
    #endif
    if options.isWorker {
      SeedWorker(isTwice: options.isTwice).serve()
      exit(0)
    }
    do {
      exit(try run(options) ? 0 : 1)
    } catch {
      Output.complain("raftkv-sim: \(error)\n")
      exit(1)
    }
  }

  private struct UnreadableFile: Error { var path: String }

  #if PLANTED_BUGS
  private static func plant(_ options: Options) {
    if options.isListingPlants {
      for bug in PlantedBug.allCases { Output.say("\(bug) \(bug.trap) \(bug.sentence)") }
      exit(0)
    }
    guard let names = options.plant else { return }
    let bugs = bugs(names)
    if options.count == nil { PlantedBug.active = bugs[0] }
  }

  /// Names with commas between them, or `all`.
  private static func bugs(_ names: String) -> [PlantedBug] {
    if names == "all" { return PlantedBug.allCases }
    return names.split(separator: ",").map { name in
      if let bug = PlantedBug.named(name) { return bug }
      Output.complain("raftkv-sim: there is no planted bug \(name); --plants lists them\n")
      exit(64)
    }
  }
  #endif

  private static func run(_ options: Options) throws -> Bool {
    if let seed = options.seed {
      let schedule = try options.schedule.map(readSchedule) ?? Schedule()
      return options.isTracing
        ? trace(seed, schedule) : try Replay(seed, schedule, options).run()
    }
    if let path = options.regress {
      return try Campaign(options, seeds: readSeeds(path)).run()
    }
    #if PLANTED_BUGS
    if let names = options.plant { return try Hunt(options, bugs(names)).run() }
    #endif
    return try Campaign(options, from: options.from, count: options.count ?? 0).run()
  }

  /// In this process and told at once: a debugger finds it here, and a trap loses nothing.
  private static func trace(_ seed: UInt64, _ schedule: Schedule) -> Bool {
    let simulator = Simulator(seed: seed, schedule: schedule)
    simulator.listen(trace: { Output.say($0) })
    let result = SeedResult(simulator.run())
    Output.say(result.sentence)
    return result.failure == nil
  }

  // MARK: Files

  private static func readSchedule(_ path: String) throws -> Schedule {
    guard let schedule = Schedule(parsing: try read(path)) else { throw UnreadableFile(path: path) }
    return schedule
  }

  private static func readSeeds(_ path: String) throws -> [UInt64] {
    try read(path).split(separator: "\n").compactMap { line -> UInt64? in
      guard let word = line.prefix(while: { $0 != "#" }).split(separator: " ").first else {
        return nil
      }
      guard let seed = UInt64(word) else { throw UnreadableFile(path: path) }
      return seed
    }
  }

  private static func read(_ path: String) throws -> String {
    guard let file = fopen(path, "r") else { throw UnreadableFile(path: path) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// This very program, as a worker.
  static func workerCommand(_ options: Options) -> [String] {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, path.count - 1)
    let bytes = path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
    return [String(decoding: bytes, as: UTF8.self)] + options.workerArguments
  }
}
