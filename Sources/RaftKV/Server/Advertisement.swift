/// Where other members reach a node's Raft port, and clients its HTTP port.
struct Addresses: Equatable {
  var raft: String
  var http: String
}

extension Addresses {
  init(_ member: Configuration.Member) {
    self.init(raft: member.raftAddress, http: member.httpAddress)
  }
}

/// What a member said of itself in its hello, for whoever leads to record: until a configuration
/// entry has something newer to say, be it an operator's `/join`, or what a later hello told another
/// leader. A hello comes once in a connection, so an old one may be remembered for long (D12).
struct Advertisement {
  let said: Addresses
  private var recorded: Addresses
  /// How far the log was known to go when it was said; what it has up to there is older.
  private let knownThrough: LogIndex

  init(said: Addresses, recorded: Addresses, knownThrough: LogIndex) {
    self.said = said
    self.recorded = recorded
    self.knownThrough = knownThrough
  }

  /// Whether it still counts, now that the configuration at `index` has these addresses.
  mutating func outlives(_ addresses: Addresses, at index: LogIndex) -> Bool {
    defer { recorded = addresses }
    return addresses == recorded || addresses == said || index <= knownThrough
  }
}
