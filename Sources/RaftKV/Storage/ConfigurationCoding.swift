/// The payload of a configuration entry, and the configuration section of a snapshot.
///
/// ```
/// u8 format version (1) · u8 zero · u16 number of members · u32 feature level
/// then per member: u64 id (incarnation) · u64 memberSince · u8 role ·
///                  name, raft address, http address (each u16 length and UTF-8)
/// ```
extension Configuration {
  private static let formatVersion: UInt8 = 1
  /// An address is `host:port`; a host name has at most 253 characters (RFC 1035).
  package static let maximumAddressLength = 300
  package static let maximumNameLength = 64

  /// Bytes that `encode` appends.
  package var encodedSize: Int {
    members.reduce(8) { size, member in
      size + 17 + 6 + member.name.utf8.count + member.raftAddress.utf8.count
        + member.httpAddress.utf8.count
    }
  }

  package func encode(into buffer: inout ByteBuffer) {
    buffer.append(Self.formatVersion)
    buffer.append(UInt8(0))
    buffer.append(UInt16(members.count))
    buffer.append(featureLevel)
    for member in members {
      buffer.append(member.id.rawValue)
      buffer.append(member.memberSince.rawValue)
      buffer.append(member.role.rawValue)
      buffer.append(lengthPrefixed: member.name)
      buffer.append(lengthPrefixed: member.raftAddress)
      buffer.append(lengthPrefixed: member.httpAddress)
    }
  }

  /// Nil where the bytes are not exactly one configuration of a version we know.
  package init?(decoding bytes: UnsafeRawBufferPointer) {
    var reader = ByteReader(bytes)
    guard reader.read(UInt8.self) == Self.formatVersion, reader.read(UInt8.self) == 0,
      let count = reader.read(UInt16.self), let featureLevel = reader.read(UInt32.self)
    else { return nil }
    var members: [Member] = []
    for _ in 0..<count {
      guard let id = reader.read(UInt64.self), let since = reader.read(UInt64.self),
        let role = reader.read(UInt8.self).flatMap(Role.init(rawValue:)),
        let name = reader.readString(limit: Self.maximumNameLength),
        let raftAddress = reader.readString(limit: Self.maximumAddressLength),
        let httpAddress = reader.readString(limit: Self.maximumAddressLength)
      else { return nil }
      members.append(
        Member(
          id: NodeID(id), name: name, memberSince: LogIndex(since), raftAddress: raftAddress,
          httpAddress: httpAddress, role: role))
    }
    guard reader.isAtEnd else { return nil }
    self.init(members: members, featureLevel: featureLevel)
  }
}
