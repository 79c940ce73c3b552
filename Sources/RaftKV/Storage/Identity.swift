/// Who this data directory is, in the file `identity`: a `CheckedSector` with magic `RAFTKVID`.
/// ```
/// offset  size
///     16     8  cluster id, 0 while in no cluster
///     24     8  the node's incarnation
///     32     …  name: u16 length and UTF-8
/// ```
/// It is the last file of a first start: where it is missing, nothing was ever promised. It is
/// replaced as a whole, through temp → sync → rename → sync directory.
package struct Identity: Equatable, Sendable {
  static let fileName = "identity"
  private static let magic: StaticString = "RAFTKVID"
  private static let version: UInt32 = 1

  package var cluster: ClusterID
  package var node: NodeID
  package var name: String

  package init(cluster: ClusterID, node: NodeID, name: String) {
    self.cluster = cluster
    self.node = node
    self.name = name
  }

  func encoded() -> ByteBuffer {
    CheckedSector.encode(magic: Self.magic, version: Self.version) { sector in
      sector.append(cluster.rawValue)
      sector.append(node.rawValue)
      sector.append(lengthPrefixed: name)
    }
  }

  static func decode(_ bytes: UnsafeRawBufferPointer) throws(CheckedSector.Fault) -> Identity {
    var reader = try CheckedSector.decode(bytes, magic: magic, version: version)
    guard let cluster = reader.read(UInt64.self), let node = reader.read(UInt64.self),
      let name = reader.readString(limit: Configuration.maximumNameLength)
    else { throw .damaged }
    return Identity(cluster: ClusterID(cluster), node: NodeID(node), name: name)
  }
}

/// The identity of a running node. It changes once in its life: when it joins a cluster.
package final class IdentityStore<D: Disk> {
  private let disk: D
  private var isWriting = false
  package private(set) var identity: Identity
  /// Wired once. Called at most once; the process must end.
  package var onFailure: (StorageFailure) -> Void = { _ in }

  package init(disk: D, identity: Identity) {
    self.disk = disk
    self.identity = identity
  }

  /// Writes the cluster id; `completion` comes when it is durable. One at a time.
  package func join(_ cluster: ClusterID, _ completion: @escaping () -> Void) {
    precondition(!isWriting, "the identity is written once at a time")
    isWriting = true
    var next = identity
    next.cluster = cluster
    ZeroFile.make(
      disk: disk, name: Identity.fileName, size: CheckedSector.size,
      pieceSize: CheckedSector.size, head: next.encoded()
    ) { [self] error in
      if let error {
        return onFailure(StorageFailure("the identity cannot be written: \(error)"))
      }
      isWriting = false
      identity = next
      completion()
    }
  }
}
