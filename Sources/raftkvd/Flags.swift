import ArgumentParser
import RaftKV

/// What every command takes: each setting as a flag, and the configuration file. Values are taken
/// as text: they are read together with those of environment and file.
struct Flags: ParsableArguments {
  @Option(
    name: .either("config"),
    help: ArgumentHelp(
      "Configuration file: key = value, keys as these flags; # begins a comment.",
      valueName: "file"),
    completion: .file())
  var config: String?

  @Option(
    name: .either("id"),
    help: .setting(.id, "Node name: 1 to 64 of A-Z a-z 0-9 . _ -", "name"))
  var id: String?

  @Option(
    name: .either("raddr"),
    help: .setting(
      .raddr, "Raft address: bound, and advertised unless -advertise-raddr.", "address"))
  var raddr: String?

  @Option(
    name: .either("haddr"),
    help: .setting(
      .haddr, "HTTP address: bound, and advertised unless -advertise-haddr.", "address"))
  var haddr: String?

  @Option(
    name: .either("advertise-raddr"),
    help: .setting(.advertiseRaddr, "Raft address that the other nodes dial.", "address"))
  var advertiseRaddr: String?

  @Option(
    name: .either("advertise-haddr"),
    help: .setting(.advertiseHaddr, "HTTP address that clients are redirected to.", "address"))
  var advertiseHaddr: String?

  @Flag(
    name: .either("bootstrap"),
    help:
      "Make a new cluster of this one node; harmless when state exists. Only on the command line.")
  var bootstrap = false

  @Option(
    name: .either("join"),
    help: .setting(
      .join,
      """
      HTTP addresses of members, separated by commas, to ask until one lets this node in; harmless \
      when state exists.
      """, "addresses"))
  var join: String?

  @Option(
    name: .either("data"),
    help: ArgumentHelp("Data directory. (default: data/<id>)", valueName: "directory"),
    completion: .directory)
  var data: String?

  @Option(
    name: .either("heartbeat"),
    help: .setting(.heartbeat, "How often a leader makes itself heard.", "duration"))
  var heartbeat: String?

  @Option(
    name: .either("election-timeout"),
    help: .setting(
      .electionTimeout, "Silence after which a follower campaigns; drawn from 1x to 2x.", "duration"
    ))
  var electionTimeout: String?

  @Option(
    name: .either("snapshot-entries"),
    help: .setting(.snapshotEntries, "A snapshot is due after this many entries …", "count"))
  var snapshotEntries: String?

  @Option(
    name: .either("snapshot-bytes"),
    help: .setting(.snapshotBytes, "… and this many bytes of log.", "size"))
  var snapshotBytes: String?

  @Option(
    name: .either("max-value-size"),
    help: .setting(.maxValueSize, "The largest value, at most 7MiB.", "size"))
  var maxValueSize: String?

  @Option(
    name: .either("max-connections"),
    help: .setting(
      .maxConnections, "Client connections at once; fewer where open files are limited.", "count"))
  var maxConnections: String?

  @Option(
    name: .either("log-level"),
    help: .setting(.logLevel, "The least that is logged: debug, info, warning or error.", "level"),
    completion: .list(Logger.Level.allCases.map { "\($0)" }))
  var logLevel: String?

  @Option(
    name: .either("log-format"),
    help: .setting(.logFormat, "How it is written: logfmt or json.", "format"),
    completion: .list(LogStyle.allCases.map(\.rawValue)))
  var logFormat: String?

  @Flag(
    name: .either("access-log"),
    help: "Log a line for each answered request: method, target, status; never a value.")
  var accessLog = false

  var texts: [Setting: String] {
    let given: [(Setting, String?)] = [
      (.id, id), (.raddr, raddr), (.haddr, haddr), (.advertiseRaddr, advertiseRaddr),
      (.advertiseHaddr, advertiseHaddr), (.bootstrap, bootstrap ? "true" : nil), (.join, join),
      (.data, data), (.heartbeat, heartbeat), (.electionTimeout, electionTimeout),
      (.snapshotEntries, snapshotEntries), (.snapshotBytes, snapshotBytes),
      (.maxValueSize, maxValueSize), (.maxConnections, maxConnections), (.logLevel, logLevel),
      (.logFormat, logFormat), (.accessLog, accessLog ? "true" : nil),
    ]
    return given.reduce(into: [:]) { texts, flag in texts[flag.0] = flag.1 }
  }

  var sources: ConfigurationSources {
    ConfigurationSources(
      flags: texts, environment: Environment.variables(prefix: Setting.variablePrefix), file: config
    )
  }
}

extension NameSpecification {
  /// `-name` and `--name`.
  static func either(_ name: String) -> NameSpecification {
    [.customLong(name, withSingleDash: true), .customLong(name)]
  }
}

extension ArgumentHelp {
  /// The default stands in the settings' table, not in the flag.
  fileprivate static func setting(
    _ setting: Setting, _ words: String, _ valueName: String
  ) -> ArgumentHelp {
    let suffix = setting.defaultText.map { " (default: \($0))" } ?? ""
    return ArgumentHelp("\(words)\(suffix)", valueName: valueName)
  }
}
