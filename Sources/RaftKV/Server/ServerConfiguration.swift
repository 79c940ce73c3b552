/// What the command line says, checked: nothing in it can fail later for its form.
package struct ServerConfiguration: Sendable {
  package var name: String
  package var raftAddress: HostPort
  package var httpAddress: HostPort
  /// What others are told; the bound address unless given.
  package var advertisedRaftAddress: HostPort
  package var advertisedHTTPAddress: HostPort
  package var bootstrap = false
  package var joinAddresses: [HostPort] = []
  package var dataDirectory: String
  package var heartbeat = Interval.milliseconds(50)
  package var electionTimeout = Interval.milliseconds(300)
  package var snapshotEntries = 100_000
  package var snapshotBytes = 64 << 20
  package var maximumValueSize = 1 << 20
  package var logLevel = Logger.Level.info
  package var version: String

  /// The largest `-max-value-size`: an entry must fit one log batch.
  package static let largestValueSize = 7 << 20

  package struct Invalid: Error, Equatable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
  }

  package init(
    name: String, raftAddress: String, httpAddress: String, advertisedRaftAddress: String? = nil,
    advertisedHTTPAddress: String? = nil, dataDirectory: String? = nil, version: String
  ) throws(Invalid) {
    guard Self.isValid(name: name) else {
      throw Invalid("-id '\(name)' is not a name: use 1 to 64 of A-Z a-z 0-9 . _ -")
    }
    guard dataDirectory != "" else { throw Invalid("-data is empty: name a directory") }
    self.name = name
    self.version = version
    self.dataDirectory = dataDirectory ?? "data/\(name)"
    self.raftAddress = try Self.address(raftAddress, flag: "-raddr")
    self.httpAddress = try Self.address(httpAddress, flag: "-haddr")
    self.advertisedRaftAddress = try Self.advertised(
      advertisedRaftAddress, bound: self.raftAddress, flag: "-advertise-raddr", of: "-raddr")
    self.advertisedHTTPAddress = try Self.advertised(
      advertisedHTTPAddress, bound: self.httpAddress, flag: "-advertise-haddr", of: "-haddr")
    guard self.raftAddress != self.httpAddress else {
      throw Invalid("-raddr and -haddr are both \(raftAddress): give them different ports")
    }
  }

  /// What depends on several flags.
  package func check() throws(Invalid) {
    guard heartbeat > .zero else { throw Invalid("-heartbeat must be at least 1ms") }
    guard heartbeat * 3 <= electionTimeout else {
      throw Invalid(
        "-heartbeat is above a third of -election-timeout: a single late heartbeat would cost the "
          + "leader its office; lower one or raise the other")
    }
    guard electionTimeout <= .seconds(60) else {
      throw Invalid("-election-timeout is above 60s")
    }
    guard (1...Self.largestValueSize).contains(maximumValueSize) else {
      throw Invalid("-max-value-size must be between 1 byte and 7MiB")
    }
    guard snapshotEntries >= 1, snapshotBytes >= 1 else {
      throw Invalid("-snapshot-entries and -snapshot-bytes must be at least 1")
    }
  }

  package static func isValid(name: String) -> Bool {
    let letters = name.utf8
    return (1...Configuration.maximumNameLength).contains(letters.count)
      && letters.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
          UInt8(ascii: "-"):
          true
        default: false
        }
      } && name != "." && name != ".."
  }

  package static func address(_ text: String, flag: String) throws(Invalid) -> HostPort {
    guard let address = HostPort(text), address.port != 0,
      text.utf8.count <= Configuration.maximumAddressLength
    else {
      throw Invalid(
        "\(flag) '\(text)' is not an address: write host:port, such as 10.0.0.1:8080, [::1]:8080 "
          + "or :8080")
    }
    return address
  }

  private static func advertised(
    _ text: String?, bound: HostPort, flag: String, of source: String
  ) throws(Invalid) -> HostPort {
    guard let text else {
      guard bound.isDialable else {
        throw Invalid(
          "\(source) \(bound) listens on every address, so others cannot be told where to find "
            + "this node: add \(flag) HOST:PORT")
      }
      return bound
    }
    let address = try Self.address(text, flag: flag)
    guard address.isDialable else {
      throw Invalid("\(flag) \(text) is not an address that others could dial")
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
