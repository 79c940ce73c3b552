import ArgumentParser
import RaftKV

/// The command line: parse, build the server, run it, and end with the exit code that tells why.
@main
struct RaftKVD: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "raftkvd",
    abstract: "A Raft-replicated, in-memory key-value server.",
    discussion: """
      The first node of a cluster starts with -bootstrap, every other one with -join. Flags are accepted \
      with one dash or two. Durations are written 50ms, 2s or 1m; sizes 1048576, 512KiB, 64MiB or 1GiB.

      Exit codes: 0 stopped as asked, 1 failure, 64 a wrong flag, 69 an address cannot be bound, \
      70 the data directory is locked, 71 it belongs to another node, 72 it is of a newer version, \
      73 its data is damaged, 74 the disk failed, 75 the state differs from the majority's, \
      76 the disk was wiped, 77 an unknown kind of entry.
      """,
    version: Version.current)

  @Option(name: .either("id"), help: "Node name: 1 to 64 of A-Z a-z 0-9 . _ -")
  var id = "node1"

  @Option(
    name: .either("raddr"),
    help: "Raft address: bound, and advertised unless -advertise-raddr.")
  var raddr = "localhost:8080"

  @Option(
    name: .either("haddr"),
    help: "HTTP address: bound, and advertised unless -advertise-haddr.")
  var haddr = "localhost:8079"

  @Option(name: .either("advertise-raddr"), help: "Raft address that the other nodes dial.")
  var advertiseRaddr: String?

  @Option(name: .either("advertise-haddr"), help: "HTTP address that clients are redirected to.")
  var advertiseHaddr: String?

  @Flag(
    name: .either("bootstrap"),
    help: "Make a new cluster of this one node; harmless when state exists.")
  var bootstrap = false

  @Option(
    name: .either("join"),
    help: "HTTP addresses of members, separated by commas, to ask until one lets this node in.")
  var join: String?

  @Option(name: .either("data"), help: "Data directory. (default: data/<id>)")
  var data: String?

  @Option(name: .either("heartbeat"), help: "How often a leader makes itself heard.")
  var heartbeat = Duration(.milliseconds(50))

  @Option(
    name: .either("election-timeout"),
    help: "Silence after which a follower campaigns; drawn from 1x to 2x.")
  var electionTimeout = Duration(.milliseconds(300))

  @Option(
    name: .either("snapshot-entries"),
    help: "A snapshot is due after this many entries …")
  var snapshotEntries = 100_000

  @Option(name: .either("snapshot-bytes"), help: "… and this many bytes of log.")
  var snapshotBytes = ByteCount(64 << 20)

  @Option(name: .either("max-value-size"), help: "The largest value, at most 7MiB.")
  var maxValueSize = ByteCount(1 << 20)

  @Option(name: .either("log-level"), help: "How much is said on standard error.")
  var logLevel = LogLevel.info

  func run() throws {
    do throws(FatalError) {
      try Server(makeConfiguration()).run()
    } catch {
      StandardError.write(line: "raftkvd: \(error.message)")
      // Disk requests may still be under way in other threads; nothing of theirs is promised to anyone.
      ProcessExit.now(error.exitCode.rawValue)
    }
    ProcessExit.now(RaftKV.ExitCode.success.rawValue)
  }

  private func makeConfiguration() throws(FatalError) -> ServerConfiguration {
    do throws(ServerConfiguration.Invalid) {
      var configuration = try ServerConfiguration(
        name: id, raftAddress: raddr, httpAddress: haddr, advertisedRaftAddress: advertiseRaddr,
        advertisedHTTPAddress: advertiseHaddr, dataDirectory: data, version: Version.current)
      configuration.bootstrap = bootstrap
      for address in (join ?? "").split(separator: ",") {
        configuration.joinAddresses.append(
          try ServerConfiguration.address(String(address), flag: "-join"))
      }
      configuration.heartbeat = heartbeat.interval
      configuration.electionTimeout = electionTimeout.interval
      configuration.snapshotEntries = snapshotEntries
      configuration.snapshotBytes = snapshotBytes.count
      configuration.maximumValueSize = maxValueSize.count
      configuration.logLevel = logLevel.level
      try configuration.check()
      return configuration
    } catch {
      throw FatalError(error.description, .usage)
    }
  }
}

extension NameSpecification {
  /// `-name` and `--name`.
  fileprivate static func either(_ name: String) -> NameSpecification {
    [.customLong(name, withSingleDash: true), .customLong(name)]
  }
}
