import ArgumentParser
import RaftKV

/// `raftkvd config check`: what a start with the same flags, environment and file would do.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Look at the configuration.", subcommands: [Check.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check",
      abstract: "Print every setting and where it comes from; exit code 64 if one is wrong.")

    @OptionGroup var flags: Flags

    func run() {
      do throws(ServerConfiguration.Invalid) {
        let configuration = try flags.sources.configuration(version: Version.current)
        for name in configuration.source.unknownVariables {
          StandardError.write(line: "raftkvd: \(name) is no setting and was ignored")
        }
        for line in configuration.listing { print(line) }
      } catch {
        for problem in error.problems { StandardError.write(line: "raftkvd: \(problem)") }
        ProcessExit.now(RaftKV.ExitCode.usage.rawValue)
      }
    }
  }

  func run() throws {
    throw ValidationError("'config' needs a command: raftkvd config check")
  }
}
