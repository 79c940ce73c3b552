import ArgumentParser
import RaftKV

/// The command line: parse, build the server, run it, and end with the exit code that tells why.
@main
struct RaftKVD: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "raftkvd",
    abstract: "A Raft-replicated, in-memory key-value server.",
    discussion: """
      The first node of a cluster starts with -bootstrap, every other one with -join. Flags are \
      accepted with one dash or two. Durations are written 50ms, 2s or 1m; sizes 1048576, 512KiB, \
      64MiB or 1GiB.

      Every flag but -bootstrap may also stand in the environment (-log-level as \
      RAFTKVD_LOG_LEVEL) or in the file that -config names (log-level = info). A flag goes before \
      the environment, that before the file. SIGHUP reads the file again.

      Exit codes: 0 stopped as asked, 1 failure, 64 a wrong flag, 69 an address cannot be bound, \
      70 the data directory is locked, 71 it belongs to another node, 72 it is of a newer version, \
      73 its data is damaged, 74 the disk failed, 75 the state differs from the majority's, \
      76 the disk was wiped, 77 an unknown kind of entry.
      """,
    subcommands: [ConfigCommand.self])

  @OptionGroup var flags: Flags

  @Flag(name: .either("version"), help: "Show the version.")
  var version = false

  static func main() {
    // Swift reads the command line from /proc/self/cmdline. Without it we seem to have been given
    // nothing, not even our name, and a node of another name and other addresses would start.
    guard CommandLine.argc > 0 else {
      end(FatalError("the flags cannot be read without /proc; mount it and start again", .failure))
    }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch  where exitCode(for: error) == .success {
      exit(withError: error)  // Help was asked for.
    } catch {
      // One line: what is wrong, and where to read on.
      end(FatalError("\(message(for: error)); see raftkvd -help", .usage))
    }
  }

  func run() {
    if version { return print("raftkvd \(Version.current)") }
    do throws(FatalError) {
      let server = try Server(makeConfiguration(), sources: flags.sources)
      // Whatever it throws, it is not taken apart: disk requests may still be under way.
      do throws(FatalError) { try server.run() } catch { Self.end(error, server.output) }
      withExtendedLifetime(server) { ProcessExit.now(RaftKV.ExitCode.success.rawValue) }
    } catch {
      Self.end(error)
    }
  }

  /// The last words are a plain line for people, unless programs read the log.
  private static func end(_ error: FatalError, _ output: LogOutput? = nil) -> Never {
    let code = error.exitCode.rawValue
    if let output, output.style == .json {
      output.write(.error, area: "") { line in
        line.append("msg", error.message)
        line.append("exit_code", UInt64(code))
      }
    } else {
      let priority = StandardError.isJournal ? "<\(Logger.Level.error.priority)>" : ""
      StandardError.write(line: "\(priority)raftkvd: \(error.message)")
    }
    ProcessExit.now(code)
  }

  private func makeConfiguration() throws(FatalError) -> ServerConfiguration {
    do throws(ServerConfiguration.Invalid) {
      return try flags.sources.configuration(version: Version.current)
    } catch {
      let others = error.problems.count - 1
      let more = others == 0 ? "" : "; and \(others) more, see raftkvd config check"
      throw FatalError("\(error.problems[0])\(more)", .usage)
    }
  }
}
