/// What an entry of the log asks of the map; key and value are borrowed from its payload.
///
/// ```
/// offset  size
///      0     1  format version (1)
///      1     1  kind: 1 put, 2 delete
///      2     2  flags: none defined; a set bit that we do not know is refused
///      4     8  the proposer's clock, milliseconds since 1970; apply takes no other time
///     12     …  fields: u8 tag, u32 length, bytes; tags ascend
///
/// tag   field
///   1   key, 1 to 4096 bytes
///   2   value: of a put
///   3   reserved: client's flags (8 bytes)
///   4   reserved: request id (client 16 bytes, sequence 8 bytes), for exactly-once writes
///   5   reserved: preconditions
///   6   reserved: further operations, all with this entry's index
///   7   reserved: session (16 bytes)
/// ```
/// Integers are little-endian. Fields with tags 1 to 127 must be understood, those from 128 on may
/// be passed over. Whatever else a node does not understand it must not skip, or its state would
/// differ from then on without a word: decoding throws, and the node stops.
package struct Command {
  package enum Kind: UInt8, Sendable {
    case put = 1
    case delete = 2
  }

  package static let formatVersion: UInt8 = 1
  /// Long enough for paths, short enough that a URL holds it percent-encoded (12 KiB).
  package static let maximumKeyLength = 4096
  static let headerSize = 12
  static let fieldHeaderSize = 5
  private static let keyTag: UInt8 = 1
  private static let valueTag: UInt8 = 2
  private static let firstOptionalTag: UInt8 = 128

  package var kind: Kind
  /// The proposer's wall clock in milliseconds since 1970.
  package var clock: UInt64
  package var key: UnsafeRawBufferPointer
  /// Empty for a delete.
  package var value: UnsafeRawBufferPointer

  package static func put(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, clock: UInt64
  ) -> Command {
    Command(kind: .put, clock: clock, key: key, value: value)
  }

  package static func delete(key: UnsafeRawBufferPointer, clock: UInt64) -> Command {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    return Command(kind: .delete, clock: clock, key: key, value: nothing)
  }

  /// How many bytes `encode` appends.
  package var encodedSize: Int {
    let fields = kind == .put ? 2 : 1
    return Self.headerSize + fields * Self.fieldHeaderSize + key.count + value.count
  }

  package func encode(into buffer: inout ByteBuffer) {
    precondition(
      (1...Self.maximumKeyLength).contains(key.count), "the key's length was checked on arrival")
    buffer.reserve(encodedSize)
    buffer.append(Self.formatVersion)
    buffer.append(kind.rawValue)
    buffer.append(UInt16(0))
    buffer.append(clock)
    append(Self.keyTag, key, to: &buffer)
    if kind == .put { append(Self.valueTag, value, to: &buffer) }
  }

  private func append(
    _ tag: UInt8, _ bytes: UnsafeRawBufferPointer, to buffer: inout ByteBuffer
  ) {
    buffer.append(tag)
    buffer.append(UInt32(bytes.count))
    buffer.append(bytes)
  }
}

extension Command {
  package init(decoding bytes: UnsafeRawBufferPointer) throws(ApplyError) {
    var reader = ByteReader(bytes)
    guard let version = reader.read(UInt8.self) else { throw .malformed("it is empty") }
    guard version == Self.formatVersion else { throw .unknownVersion(version) }
    guard let kindField = reader.read(UInt8.self), let flags = reader.read(UInt16.self),
      let clock = reader.read(UInt64.self)
    else { throw .malformed("its header is cut off") }
    guard let kind = Kind(rawValue: kindField) else { throw .unknownKind(kindField) }
    guard flags == 0 else { throw .unknownFlags(flags) }

    var key: UnsafeRawBufferPointer?
    var value: UnsafeRawBufferPointer?
    var previousTag: UInt8 = 0
    while !reader.isAtEnd {
      guard let tag = reader.read(UInt8.self), let length = reader.read(UInt32.self),
        let field = reader.read(count: Int(length))
      else { throw .malformed("a field is cut off") }
      guard tag > previousTag else { throw .malformed("its fields are not in order") }
      previousTag = tag
      switch tag {
      case Self.keyTag: key = field
      case Self.valueTag: value = field
      case Self.firstOptionalTag...: continue
      default: throw .unknownField(tag)
      }
    }
    guard let key, (1...Self.maximumKeyLength).contains(key.count) else {
      throw .malformed("its key is missing, empty or too long")
    }
    guard (value != nil) == (kind == .put) else {
      throw .malformed("a put has a value and a delete has none")
    }
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    self.init(kind: kind, clock: clock, key: key, value: value ?? nothing)
  }
}

/// Why a committed entry cannot be applied. Nothing was changed; the node has to stop, because the
/// others may have understood what it did not.
package enum ApplyError: Error, Equatable, Sendable, CustomStringConvertible {
  case unknownVersion(UInt8)
  case unknownKind(UInt8)
  case unknownFlags(UInt16)
  case unknownField(UInt8)
  case malformed(String)

  package var description: String {
    switch self {
    case .unknownVersion(let version): "the command has format version \(version), newer than ours"
    case .unknownKind(let kind): "the command has kind \(kind), which we do not know"
    case .unknownFlags(let flags): "the command has flags \(flags), which we do not know"
    case .unknownField(let tag): "the command has field \(tag), which we do not know"
    case .malformed(let reason): "the command is malformed: \(reason)"
    }
  }
}
