/// What flags, environment and file say, checked: nothing in it can fail later for its form.
package struct ServerConfiguration: Sendable {
  package var name: String
  package var raftAddress: HostPort
  package var httpAddress: HostPort
  /// What others are told; the bound address unless given.
  package var advertisedRaftAddress: HostPort
  package var advertisedHTTPAddress: HostPort
  package var bootstrap: Bool
  package var joinAddresses: [HostPort]
  package var dataDirectory: String
  package var heartbeat: Interval
  package var electionTimeout: Interval
  package var snapshotEntries: Int
  package var snapshotBytes: Int
  package var maximumValueSize: Int
  package var maximumConnections: Int
  package var logLevel: Logger.Level
  package var logStyle: LogStyle
  package var accessLog: Bool
  package var version: String
  /// Where all this comes from: what `config check` shows, and what a reload is compared with.
  package let source: Settings

  /// The largest `-max-value-size`: an entry must fit one log batch.
  package static let largestValueSize = 7 << 20

  /// Everything that is wrong, in the order of the settings; never empty.
  package struct Invalid: Error, Equatable {
    package var problems: [Settings.Problem]
  }

  package init(_ settings: Settings, version: String) throws(Invalid) {
    var reader = SettingReader(settings)
    source = settings
    self.version = version
    name = reader.read(.id, or: "", "is not a name: use 1 to 64 of A-Z a-z 0-9 . _ -") {
      Self.isValid(name: $0) ? $0 : nil
    }
    let raddr = reader.readAddress(.raddr)
    let haddr = reader.readAddress(.haddr)
    let advertisedRaddr = Self.advertised(.advertiseRaddr, bound: raddr, by: .raddr, &reader)
    let advertisedHaddr = Self.advertised(.advertiseHaddr, bound: haddr, by: .haddr, &reader)
    if let raddr, raddr == haddr {
      reader.complain("-raddr and -haddr are both \(raddr): give them different ports")
    }
    bootstrap = settings[.bootstrap]?.text == "true"
    joinAddresses = reader.readAddresses(.join)
    if settings[.data]?.text == "" { reader.complain(.data, "is empty: name a directory") }
    dataDirectory = settings[.data]?.text ?? "data/\(name)"
    heartbeat = reader.readDuration(.heartbeat)
    electionTimeout = reader.readDuration(.electionTimeout)
    snapshotEntries = reader.readCount(.snapshotEntries)
    snapshotBytes = reader.readSize(.snapshotBytes)
    maximumValueSize = reader.readSize(.maxValueSize)
    maximumConnections = reader.readCount(.maxConnections)
    let levels = Logger.Level.allCases.map { "\($0)" }.joined(separator: ", ")
    logLevel = reader.read(.logLevel, or: .info, "is not a level: use one of \(levels)") {
      Logger.Level($0)
    }
    let styles = LogStyle.allCases.map(\.rawValue).joined(separator: " or ")
    logStyle = reader.read(.logFormat, or: .logfmt, "is not a format: use \(styles)") {
      LogStyle(rawValue: $0)
    }
    accessLog = reader.read(.accessLog, or: false, "is neither true nor false") { Bool($0) }
    guard let raddr, let haddr, let advertisedRaddr, let advertisedHaddr else {
      throw Invalid(problems: reader.problems)
    }
    raftAddress = raddr
    httpAddress = haddr
    advertisedRaftAddress = advertisedRaddr
    advertisedHTTPAddress = advertisedHaddr
    // A value that could not be read has its own line; no other one follows from it.
    if reader.problems.isEmpty { checkRanges(&reader) }
    guard reader.problems.isEmpty else { throw Invalid(problems: reader.problems) }
  }

  private func checkRanges(_ reader: inout SettingReader) {
    if heartbeat == .zero { reader.complain(.heartbeat, "must be at least 1ms") }
    if heartbeat * 3 > electionTimeout {
      reader.complain(
        "-heartbeat is above a third of -election-timeout: a single late heartbeat would cost the "
          + "leader its office; lower one or raise the other")
    }
    if electionTimeout > .seconds(60) { reader.complain(.electionTimeout, "is above 60s") }
    if !(1...Self.largestValueSize).contains(maximumValueSize) {
      reader.complain(.maxValueSize, "must be between 1 byte and 7MiB")
    }
    if snapshotEntries < 1 { reader.complain(.snapshotEntries, "must be at least 1") }
    if snapshotBytes < 1 { reader.complain(.snapshotBytes, "must be at least 1") }
    if !(1...1_000_000).contains(maximumConnections) {
      reader.complain(.maxConnections, "must be between 1 and 1000000")
    }
  }

  package static func isValid(name: String) -> Bool {
    let letters = name.utf8
    return (1...Configuration.maximumNameLength).contains(letters.count)
      && letters.allSatisfy { byte in
        byte.isLetter || byte.isDigit || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
          || byte == UInt8(ascii: "-")
      } && name != "." && name != ".."
  }

  private static func advertised(
    _ setting: Setting, bound: HostPort?, by source: Setting, _ reader: inout SettingReader
  ) -> HostPort? {
    guard let text = reader.settings[setting]?.text else {
      guard let bound else { return nil }
      guard bound.isDialable else {
        reader.complain(
          source,
          "\(bound) listens on every address, so others cannot be told where to find this node: "
            + "add -\(setting.name) HOST:PORT")
        return nil
      }
      return bound
    }
    guard let address = reader.readAddress(setting) else { return nil }
    guard address.isDialable else {
      reader.complain(setting, "\(text) is not an address that others could dial")
      return nil
    }
    return address
  }

  var settings: ReplicaSettings {
    var settings = ReplicaSettings(
      name: name, raftAddress: advertisedRaftAddress.description,
      httpAddress: advertisedHTTPAddress.description, version: version)
    settings.parameters.heartbeatInterval = heartbeat
    settings.parameters.electionTimeout = electionTimeout
    settings.snapshotEntries = snapshotEntries
    settings.snapshotBytes = snapshotBytes
    settings.maximumValueSize = maximumValueSize
    return settings
  }
}
