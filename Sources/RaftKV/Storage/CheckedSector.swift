/// The frame of every fixed record of ours: segment header, hard state slot, identity.
///
/// ```
/// offset  size
///      0     8  magic, eight ASCII letters
///      8     4  CRC32C of bytes 12 ..< 512
///     12     4  format version
///     16     …  fields, then zeros to 512
/// ```
/// One sector, so that no later write shares it. It is valid if and only if magic and checksum
/// hold. A newer version keeps this frame, so that an older program can say what it met instead of
/// "damaged".
enum CheckedSector {
  static let size = LogFormat.sectorSize
  private static let checksumOffset = 8
  private static let coveredOffset = 12

  enum Fault: Error {
    case foreign
    case damaged
    case newer(UInt32)
  }

  static func encode(
    magic: StaticString, version: UInt32, _ fields: (inout ByteBuffer) -> Void
  ) -> ByteBuffer {
    precondition(magic.utf8CodeUnitCount == 8, "a magic is eight letters")
    var sector = ByteBuffer(capacity: size)
    sector.append(magic)
    sector.append(UInt32(0))
    sector.append(version)
    fields(&sector)
    precondition(sector.count <= size, "the fields fit one sector")
    sector.append(repeating: 0, count: size - sector.count)
    sector.patch(checksum(sector.readable), at: checksumOffset)
    return sector
  }

  /// A reader at the fields.
  static func decode(
    _ bytes: UnsafeRawBufferPointer, magic: StaticString, version: UInt32
  ) throws(Fault) -> ByteReader {
    guard bytes.count >= size else { throw .damaged }
    let sector = UnsafeRawBufferPointer(rebasing: bytes[..<size])
    var reader = ByteReader(sector)
    guard let letters = reader.read(count: 8), let stored = reader.read(UInt32.self),
      let found = reader.read(UInt32.self)
    else { throw .damaged }
    let isChecked = stored == checksum(sector)
    let expected = UnsafeRawBufferPointer(start: magic.utf8Start, count: 8)
    guard letters.elementsEqual(expected) else { throw isChecked ? .foreign : .damaged }
    guard isChecked else { throw .damaged }
    guard found == version else { throw .newer(found) }
    return reader
  }

  static func checksum(_ sector: UnsafeRawBufferPointer) -> UInt32 {
    CRC32C.checksum(UnsafeRawBufferPointer(rebasing: sector[coveredOffset..<size]))
  }
}
