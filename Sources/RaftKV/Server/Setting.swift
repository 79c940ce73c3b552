/// What an operator can choose, by its name: `-heartbeat` on the command line, `RAFTKVD_HEARTBEAT`
/// in the environment, `heartbeat` in the configuration file.
package enum Setting: String, CaseIterable, Sendable {
  case id, raddr, haddr
  case advertiseRaddr = "advertise-raddr"
  case advertiseHaddr = "advertise-haddr"
  case bootstrap, join, data, heartbeat
  case electionTimeout = "election-timeout"
  case snapshotEntries = "snapshot-entries"
  case snapshotBytes = "snapshot-bytes"
  case maxValueSize = "max-value-size"
  case maxConnections = "max-connections"
  case logLevel = "log-level"
  case logFormat = "log-format"
  case accessLog = "access-log"

  package var name: String { rawValue }

  package var variable: String {
    Self.variablePrefix + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
  }

  package static let variablePrefix = "RAFTKVD_"
  /// Names the configuration file; it has no place inside one.
  package static let fileVariable = "RAFTKVD_CONFIG"
  /// What the systemd units pass on as flags.
  package static let flagsVariable = "RAFTKVD_FLAGS"

  /// What holds where nothing is said; nil where that depends on others or is nothing at all.
  package var defaultText: String? {
    switch self {
    case .id: "node1"
    case .raddr: "localhost:8080"
    case .haddr: "localhost:8079"
    case .advertiseRaddr, .advertiseHaddr, .join, .data: nil
    case .bootstrap: "false"
    case .heartbeat: "50ms"
    case .electionTimeout: "300ms"
    case .snapshotEntries: "100000"
    case .snapshotBytes: "64MiB"
    case .maxValueSize: "1MiB"
    case .maxConnections: "16384"
    case .logLevel: "info"
    case .logFormat: "logfmt"
    case .accessLog: "false"
    }
  }

  /// Whether SIGHUP applies a change. All others are part of what the node is, or agreed on with
  /// others.
  package var canReload: Bool {
    switch self {
    case .snapshotEntries, .snapshotBytes, .maxValueSize, .maxConnections, .logLevel, .logFormat,
      .accessLog:
      true
    case .id, .raddr, .haddr, .advertiseRaddr, .advertiseHaddr, .bootstrap, .join, .data,
      .heartbeat, .electionTimeout:
      false
    }
  }
}
