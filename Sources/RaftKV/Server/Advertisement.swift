/// Where other members reach a node's Raft port, and clients its HTTP port.
struct Addresses: Equatable {
  var raft: String
  var http: String
}

extension Addresses {
  var areUsable: Bool { HostPort(raft) != nil && HostPort(http) != nil }

  init(_ member: Configuration.Member) {
    self.init(raft: member.raftAddress, http: member.httpAddress)
  }
}

/// A member's addresses as a configuration entry has them.
struct RecordedAddresses {
  var addresses: Addresses
  var memberSince: LogIndex
  var entry: EntryID

  /// Of two entries that a log has had, the one of the later term was appended later; so was, in
  /// one term, the one of the higher index.
  func isNewer(than other: RecordedAddresses) -> Bool {
    (entry.term, entry.index) > (other.entry.term, other.entry.index)
  }
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

  /// Whether it still counts beside what is recorded now. A rollback says nothing new.
  mutating func stillCounts(beside record: RecordedAddresses) -> Bool {
    let isNews = record.addresses != recorded.addresses && record.isNewer(than: recorded)
    recorded = record
    return !isNews || record.addresses == said || record.entry.index <= knownThrough
  }
}
