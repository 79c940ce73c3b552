/// The first frame in both directions: who speaks, to whom, and what for. A `welcome` frame has the
/// same shape and answers it.
///
/// ```
/// offset  size
///      0     2  protocol version
///      2     1  purpose: 1 messages, 2 snapshots, 3 probe
///      3     5  zero
///      8     8  feature bits
///     16     8  cluster, 0: none yet
///     24     8  sender: incarnation
///     32     8  sender: memberSince, 0: never a member
///     40     8  target: incarnation, 0: unknown
///     48     8  target: memberSince, 0: never a member
///     56     8  process nonce, random per start, never zero
///     64     …  sender's name · target's name · sender's raft address · sender's http address ·
///               authentication          (each u16 length and bytes; all but the last UTF-8)
/// ```
/// Bytes behind these are ignored: later versions may say more.
package struct Hello: Equatable, Sendable {
  package enum Purpose: UInt8, Sendable {
    /// The one ordered connection for Raft messages (B16).
    case messages = 1
    /// Snapshot chunks and their replies, so that no heartbeat waits behind them (H2).
    case snapshots = 2
    /// Only the hellos are exchanged: is the process alive, and is it the same one?
    case probe = 3
  }

  /// A node as one side of a connection knows it.
  package struct Party: Equatable, Sendable {
    package var name: String
    package var id: NodeID
    package var memberSince: LogIndex

    package init(name: String, id: NodeID = .none, memberSince: LogIndex = .zero) {
      self.name = name
      self.id = id
      self.memberSince = memberSince
    }
  }

  /// Raised only by a change that an older node cannot ignore.
  package static let currentVersion: UInt16 = 1
  /// Longer ones are refused: two names, two addresses and the
  /// authentication fit with room to grow.
  package static let maximumSize = 8 << 10
  package static let maximumAuthenticationSize = 4 << 10

  package var version: UInt16 = Hello.currentVersion
  package var purpose: Purpose
  package var features: UInt64
  package var cluster: ClusterID
  package var sender: Party
  package var target: Party
  package var nonce: UInt64
  package var raftAddress: String
  package var httpAddress: String
  /// Empty for now: the place for a token or a signature.
  package var authentication: [UInt8] = []

  package init(from local: LocalIdentity, to target: Party, purpose: Purpose) {
    self.purpose = purpose
    self.target = target
    features = local.features
    cluster = local.cluster
    sender = Party(name: local.name, id: local.id, memberSince: local.memberSince)
    nonce = local.nonce
    raftAddress = local.raftAddress
    httpAddress = local.httpAddress
  }
}

/// What a node says of itself in every hello.
package struct LocalIdentity: Equatable, Sendable {
  /// `.none` while the node waits to be joined.
  package var cluster: ClusterID
  package var name: String
  package var id: NodeID
  package var memberSince: LogIndex
  /// Random per start: tells a restarted process from one that lived on.
  package var nonce: UInt64
  package var raftAddress: String
  package var httpAddress: String
  package var features: UInt64

  package init(
    cluster: ClusterID, name: String, id: NodeID, memberSince: LogIndex, nonce: UInt64,
    raftAddress: String, httpAddress: String, features: UInt64 = 0
  ) {
    self.cluster = cluster
    self.name = name
    self.id = id
    self.memberSince = memberSince
    self.nonce = nonce
    self.raftAddress = raftAddress
    self.httpAddress = httpAddress
    self.features = features
  }
}

extension ByteBuffer {
  /// `type` is `.hello` or `.welcome`.
  mutating func appendFrame(_ type: FrameType, _ hello: Hello) {
    let start = beginFrame(type)
    append(hello.version)
    append(hello.purpose.rawValue)
    append(repeating: 0, count: 5)
    append(hello.features)
    append(hello.cluster.rawValue)
    append(hello.sender.id.rawValue)
    append(hello.sender.memberSince.rawValue)
    append(hello.target.id.rawValue)
    append(hello.target.memberSince.rawValue)
    append(hello.nonce)
    append(lengthPrefixed: hello.sender.name)
    append(lengthPrefixed: hello.target.name)
    append(lengthPrefixed: hello.raftAddress)
    append(lengthPrefixed: hello.httpAddress)
    append(UInt16(hello.authentication.count))
    append(hello.authentication)
    endFrame(from: start)
  }
}

extension Hello {
  /// Nil where the bytes do not begin with a hello.
  init?(decoding bytes: UnsafeRawBufferPointer) {
    var reader = ByteReader(bytes)
    guard let version = reader.read(UInt16.self),
      let purpose = reader.read(UInt8.self).flatMap(Purpose.init(rawValue:)),
      reader.read(count: 5) != nil, let features = reader.read(UInt64.self),
      let cluster = reader.read(UInt64.self), let senderID = reader.read(UInt64.self),
      senderID != 0, let senderSince = reader.read(UInt64.self),
      let targetID = reader.read(UInt64.self), let targetSince = reader.read(UInt64.self),
      let nonce = reader.read(UInt64.self), nonce != 0,
      let senderName = reader.readString(limit: Configuration.maximumNameLength),
      let targetName = reader.readString(limit: Configuration.maximumNameLength),
      let raftAddress = reader.readString(limit: Configuration.maximumAddressLength),
      let httpAddress = reader.readString(limit: Configuration.maximumAddressLength),
      let tokenSize = reader.read(UInt16.self), tokenSize <= Self.maximumAuthenticationSize,
      let token = reader.read(count: Int(tokenSize))
    else { return nil }
    self.version = version
    self.purpose = purpose
    self.features = features
    self.cluster = ClusterID(cluster)
    self.nonce = nonce
    self.raftAddress = raftAddress
    self.httpAddress = httpAddress
    sender = Party(name: senderName, id: NodeID(senderID), memberSince: LogIndex(senderSince))
    target = Party(name: targetName, id: NodeID(targetID), memberSince: LogIndex(targetSince))
    authentication = Array(token)
  }
}
