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

/// Addresses as a configuration entry has them.
struct RecordedAddresses {
  var addresses: Addresses
  var index: LogIndex
}

/// What a member said of itself in its hello, for whoever leads to record: until a configuration
/// entry has something newer to say, be it an operator's `/join`, or what a later hello told
/// another leader. A hello comes once in a connection, so an old one may be remembered for long
/// (D12).
struct Advertisement {
  let said: Addresses
  private var recorded: RecordedAddresses
  /// How far the log was known to go when it was said: what it has up to there is older.
  private let knownThrough: LogIndex

  init(said: Addresses, recorded: RecordedAddresses, knownThrough: LogIndex) {
    self.said = said
    self.recorded = recorded
    self.knownThrough = knownThrough
  }

  /// Whether it still counts beside what is recorded now. An entry that took another one back says
  /// nothing new.
  mutating func outlives(_ record: RecordedAddresses) -> Bool {
    let isNews = record.addresses != recorded.addresses && record.index > recorded.index
    recorded = record
    return !isNews || record.addresses == said || record.index <= knownThrough
  }
}
