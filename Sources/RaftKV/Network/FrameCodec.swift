/// Frames: everything that travels on a peer connection. The format is permanent.
///
/// ```
/// offset  size
///      0     4  magic "RKVP"
///      4     1  type, see `FrameType`
///      5     1  flags: bit 0, a state hash report follows the envelope; the others are zero
///      6     2  zero
///      8     4  length of the body, bytes, at most `maximumBodySize`
///     12     4  CRC32C of bytes 4 ..< 12 and the body
///     16     …  body
/// ```
/// The body of a message frame (types 16 and up):
///
/// ```
///      0     8  from             the sender's NodeID, never zero
///      8     8  to               the receiver's NodeID, never zero
///     16     8  term
///   [ 24    32  state hash: u32 version · u32 zero · u64 index · u64 high · u64 low ]
///      …        the message, see `FrameCodec+Messages.swift`
/// ```
/// All integers are little-endian. A frame is valid if and only if the magic, the zeros and the
/// checksum hold and the body is exactly what its type says. A valid frame of a type we do not know
/// is ignored (J6): a newer peer may speak of things that an older one need not understand.
/// Anything else closes the connection, for on a broken stream no later byte can be trusted.
package enum FrameCodec {
  package static let headerSize = 16

  /// One append frame holds at most 16 MiB of entries, or one entry if that is larger, and an
  /// entry is never larger than a log segment of 64 MiB. Smaller, and such an entry could be
  /// written but never replicated; larger, and a flipped bit in a length would have us wait
  /// for bytes that never come.
  package static let maximumBodySize = (16 + 64) << 20

  /// "RKVP" as a little-endian integer.
  static let magic: UInt32 = 0x5056_4b52
  static let magicBytes: (UInt8, UInt8, UInt8, UInt8) = (0x52, 0x4b, 0x56, 0x50)
  /// The flag for a state hash report between envelope and message.
  static let reportFlag: UInt8 = 1

  /// Indexes and terms beyond this are malformed. No cluster gets there in a thousand years, and
  /// below it no sum of an index and a count, whatever a peer claims, can overflow.
  package static let maximumCounter: UInt64 = 1 << 62
}

package enum FrameType: UInt8, Sendable {
  // The handshake.
  case hello = 1
  case welcome = 2
  case refusal = 3
  /// An empty body: says that the process behind an idle connection still turns its loop.
  case keepAlive = 4

  // Messages.
  case voteRequest = 16
  case voteReply = 17
  case append = 18
  case appendReply = 19
  case heartbeat = 20
  case heartbeatReply = 21
  case timeoutNow = 22
  case snapshotChunk = 23
  case snapshotReply = 24
  case removed = 25
  case diverged = 26
  case moved = 27
}

/// Why a connection's bytes cannot be frames. Each of them ends the connection.
package enum FrameError: Error, Equatable, Sendable, CustomStringConvertible {
  case notOurProtocol
  case reservedBits
  case tooLarge(Int)
  case checksumMismatch
  case malformed(FrameType)
  /// A valid frame that its sender may not send now: a message before the
  /// handshake, a second hello.
  case outOfTurn(UInt8)
  /// A message that names another sender or receiver than the handshake did (B15).
  case misaddressed(from: NodeID, to: NodeID)

  package var description: String {
    switch self {
    case .notOurProtocol: "the bytes are not raftkvd's peer protocol"
    case .reservedBits: "a reserved field of a frame is not zero"
    case .tooLarge(let size): "a frame of \(size) bytes is larger than allowed"
    case .checksumMismatch: "a frame's checksum does not match"
    case .malformed(let type): "a frame's content is not a \(type)"
    case .outOfTurn(let type): "a frame of type \(type) came out of turn"
    case .misaddressed(let from, let to): "a message from \(from) to \(to) came the wrong way"
    }
  }
}

/// A checked frame whose body was not looked at yet.
package struct RawFrame {
  package var type: UInt8
  package var flags: UInt8
  /// Borrowed from the reader or its input.
  package var body: UnsafeRawBufferPointer
}

/// A message as it came, with what travels beside it.
package struct MessageFrame {
  package var envelope: Envelope
  package var report: StateHashReport?
  /// The entry records of an append, the bytes of a snapshot chunk, else empty. Borrowed.
  package var payload: UnsafeRawBufferPointer
}

/// The first sixteen bytes of a frame.
struct FrameHeader {
  var type: UInt8
  var flags: UInt8
  var bodySize: Int
  var checksum: UInt32

  /// `bytes` holds at least a header. Throws where no frame of at most `limit` bytes can begin so.
  init(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(FrameError) {
    var reader = ByteReader(bytes)
    guard reader.read(UInt32.self) == FrameCodec.magic else { throw .notOurProtocol }
    guard let type = reader.read(UInt8.self), let flags = reader.read(UInt8.self),
      reader.read(UInt16.self) == 0
    else { throw .reservedBits }
    guard let length = reader.read(UInt32.self), let checksum = reader.read(UInt32.self) else {
      preconditionFailure("a header is read from at least sixteen bytes")
    }
    guard length <= limit else { throw .tooLarge(Int(length)) }
    self.type = type
    self.flags = flags
    self.checksum = checksum
    bodySize = Int(length)
  }

  var frameSize: Int { FrameCodec.headerSize + bodySize }

  /// The frame that begins with this header, once all its bytes are there.
  func frame(in bytes: UnsafeRawBufferPointer) throws(FrameError) -> RawFrame {
    let body = UnsafeRawBufferPointer(rebasing: bytes[FrameCodec.headerSize..<frameSize])
    guard checksum == FrameHeader.checksum(of: bytes, body: body) else { throw .checksumMismatch }
    return RawFrame(type: type, flags: flags, body: body)
  }

  static func checksum(
    of frame: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer
  ) -> UInt32 {
    let header = UnsafeRawBufferPointer(rebasing: frame[4..<12])
    return CRC32C.checksum(body, continuing: CRC32C.checksum(header))
  }
}

extension ByteBuffer {
  /// Opens a frame at the end of the buffer; returns where, for `endFrame`.
  mutating func beginFrame(_ type: FrameType, flags: UInt8 = 0) -> Int {
    let start = count
    append(FrameCodec.magic)
    append(type.rawValue)
    append(flags)
    append(UInt16(0))
    append(UInt64(0))  // length and checksum, patched by `endFrame`
    return start
  }

  /// Closes the frame that `beginFrame` opened at `start`: its length and checksum become true.
  mutating func endFrame(from start: Int) {
    let bodySize = count - start - FrameCodec.headerSize
    precondition(bodySize <= FrameCodec.maximumBodySize, "a frame larger than peers accept")
    patch(UInt32(bodySize), at: start + 8)
    let frame = UnsafeRawBufferPointer(rebasing: readable[start...])
    let body = UnsafeRawBufferPointer(rebasing: frame[FrameCodec.headerSize...])
    patch(FrameHeader.checksum(of: frame, body: body), at: start + 12)
  }

  /// A frame without a body.
  mutating func appendKeepAlive() {
    endFrame(from: beginFrame(.keepAlive))
  }
}
