/// A snapshot is a run of sections:
///
/// ```
/// offset  size
///      0     4  type
///      4     4  payload length
///      8     4  CRC32C over type, length and payload, continued from the previous section's
///     12     …  payload
///
/// type              times  payload
///   1  header           1  u64 magic · u32 format version (1) · u32 zero · u64 cluster id ·
///                          u64 last included index · u64 its term · u64 index of the
///                          configuration's entry · configuration, as in its entry
///   2  clock            1  u64 milliseconds since 1970 · u64 horizon of the tombstones
///   3  state hash       1  u32 version · u32 zero · u64 high · u64 low
///   4  entries          *  records, keys ascending, also from section to section:
///                          u16 key length · u8 field flags · u8 zero · u32 value length ·
///                          u64 createIndex · u64 modifyIndex · lockIndex, flags (8 bytes each),
///                          session (16): where set · key · value
///   5  tombstones       *  records, oldest first: u64 index · u16 key length · key
///   6  end              1  u64 number of entries · u64 number of tombstones
/// ```
/// The sections come in the order of their types. A section of records ends with the record that
/// brings it to 256 KiB, whoever encodes it and in whatever slices: the same state is the same
/// bytes on every node.
///
/// A snapshot is valid if and only if every section is known, whole, in order and passes its
/// checksum, every record is well-formed, the counts are right, the recomputed state hash is the
/// stated one (of the same version), and nothing follows the end. The checksums are chained, so
/// that no section can be left out, exchanged or taken from another snapshot.
enum SnapshotFormat {
  enum Section: UInt32 {
    case header = 1
    case clock
    case stateHash
    case entries
    case tombstones
    case end
  }

  static let magic: UInt64 = 0x3150_414e_5356_4b52  // "RKVSNAP1"
  static let version: UInt32 = 1
  static let sectionHeaderSize = 12
  static let entryHeaderSize = 24
  static let tombstoneHeaderSize = 10
  /// One section is the unit of checking and of encoding: well below a millisecond of work.
  static let sectionSize = 256 << 10
  /// The largest section is a full one and its last record. No value comes near 1 GiB; a length
  /// above is garbage, refused before anything waits for so many bytes.
  static let maximumSectionLength = 1 << 30
}

/// What a snapshot stands for in the log (§7; F1).
package struct SnapshotMetadata: Equatable, Sendable {
  package var clusterID: ClusterID
  /// The last entry that the snapshot includes.
  package var lastEntry: EntryID
  /// In force at that entry.
  package var configuration: Configuration
  /// The index of the entry that made it so.
  package var configurationIndex: LogIndex

  package init(
    clusterID: ClusterID, lastEntry: EntryID, configuration: Configuration,
    configurationIndex: LogIndex
  ) {
    self.clusterID = clusterID
    self.lastEntry = lastEntry
    self.configuration = configuration
    self.configurationIndex = configurationIndex
  }
}

/// Why bytes are not a snapshot that we may load.
package enum SnapshotError: Error, Equatable, Sendable, CustomStringConvertible {
  case notASnapshot
  case unsupportedVersion(UInt32)
  case unknownSection(UInt32)
  case unexpectedSection(UInt32)
  case sectionTooLong(section: UInt32, length: UInt32)
  case checksumMismatch(section: UInt32)
  case malformed(section: UInt32, String)
  case countMismatch
  case stateHashMismatch
  case truncated
  case trailingBytes

  package var description: String {
    switch self {
    case .notASnapshot: "this is not a snapshot"
    case .unsupportedVersion(let version): "the snapshot has format version \(version), not ours"
    case .unknownSection(let type): "the snapshot has a section of unknown type \(type)"
    case .unexpectedSection(let type): "the snapshot has section \(type) in the wrong place"
    case .sectionTooLong(let type, let length): "section \(type) claims to be \(length) bytes long"
    case .checksumMismatch(let type): "section \(type) fails its checksum"
    case .malformed(let type, let reason): "section \(type) is malformed: \(reason)"
    case .countMismatch: "the snapshot does not hold as many records as it says"
    case .stateHashMismatch: "the snapshot's entries do not have the state hash that it states"
    case .truncated: "the snapshot is cut off"
    case .trailingBytes: "bytes follow the snapshot's end"
    }
  }
}
