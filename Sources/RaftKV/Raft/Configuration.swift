/// Who takes part, as of one entry of the log. It is in force from the moment that entry is
/// appended (dissertation §4.1; trap D2).
package struct Configuration: Equatable, Sendable {
  package enum Role: UInt8, Sendable, CustomStringConvertible {
    case learner = 1
    case voter = 2
    package var description: String { self == .voter ? "voter" : "learner" }
  }

  package struct Member: Equatable, Sendable {
    /// The incarnation: what votes and what dies.
    package var id: NodeID
    /// The operator's name for it (`-id`), 1 to 64 of `A-Za-z0-9._-`. Unique in a configuration.
    package var name: String
    /// The index of the entry that added it. A node that was removed and
    /// added again has a higher one.
    package var memberSince: LogIndex
    /// Where peers dial it, `host:port`.
    package var raftAddress: String
    /// Where clients are redirected to, `host:port`.
    package var httpAddress: String
    package var role: Role

    package init(
      id: NodeID, name: String, memberSince: LogIndex, raftAddress: String, httpAddress: String,
      role: Role
    ) {
      self.id = id
      self.name = name
      self.memberSince = memberSince
      self.raftAddress = raftAddress
      self.httpAddress = httpAddress
      self.role = role
    }
  }

  /// In the order of joining. Linear search everywhere: a cluster has a handful of members.
  package var members: [Member] { didSet { voters = Self.voters(of: members) } }
  /// The incarnations of the voters, in the order of joining: asked for on every read and round.
  package private(set) var voters: [NodeID]
  /// What every member understands; raised only when all do. A node that meets a level above
  /// `knownFeatureLevel`, committed, stops: it would not understand what comes next.
  package var featureLevel: UInt32
  /// The highest level that this program understands.
  package static let knownFeatureLevel: UInt32 = 1

  package init(members: [Member] = [], featureLevel: UInt32 = 1) {
    self.members = members
    voters = Self.voters(of: members)
    self.featureLevel = featureLevel
  }

  package static let empty = Configuration()
  /// More would make quorums slow and the map of connections large; etcd and Consul advise 3 to 7.
  package static let maximumMembers = 16

  package func member(_ id: NodeID) -> Member? { members.first { $0.id == id } }
  package func member(named name: String) -> Member? { members.first { $0.name == name } }
  package func contains(_ id: NodeID) -> Bool { members.contains { $0.id == id } }
  package func isVoter(_ id: NodeID) -> Bool { voters.contains(id) }
  private static func voters(of members: [Member]) -> [NodeID] {
    members.filter { $0.role == .voter }.map(\.id)
  }
  package var isUnderstood: Bool { featureLevel <= Self.knownFeatureLevel }
  package var voterCount: Int { voters.count }
  /// Whether a cluster can have it: each member once, by id and by name, and among them a voter.
  package var isSound: Bool {
    guard members.count <= Self.maximumMembers, voterCount > 0 else { return false }
    return members.indices.allSatisfy { position in
      let member = members[position]
      return member.id != .none && !member.name.isEmpty
        && !members[..<position].contains { $0.id == member.id || $0.name == member.name }
    }
  }
  /// The smallest number of voters that any two majorities must share one of.
  package var quorum: Int { voterCount / 2 + 1 }
}
