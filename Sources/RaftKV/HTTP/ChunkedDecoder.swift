/// Decodes a chunked body (RFC 9112 §7.1).
///
/// ```
///   chunk    = 1*16 HEXDIG [ ";" extension ] CR LF   data   CR LF
///   body     = *chunk   "0" [ ";" extension ] CR LF   *( field-line CR LF )   CR LF
/// ```
/// Data goes to the caller's buffer as it comes. Only an unfinished trailer line is left
/// unconsumed, and must be offered again with what follows it.
struct ChunkedDecoder {
  enum Result: Equatable {
    case needMore
    case done
    case malformed(Failure)
  }

  private enum Stage {
    case size, `extension`, sizeLineFeed, data, dataReturn, dataLineFeed, trailers
  }

  private let limit: Int
  private let discards: Bool
  private var stage = Stage.size
  /// Of the chunk being read; then what remains of its data.
  private var size = 0
  private var digits = 0
  /// Bytes of data so far. Invariant: received <= limit.
  private(set) var received = 0
  /// Bytes of framing so far. Invariant: overhead <= allowance + received.
  private var overhead = 0
  private var extensionCount = 0
  private var extensionTotal = 0
  /// How much of an unfinished trailer line is known not to end it.
  private var scanned = 0
  private var trailerCount = 0
  private var trailerBytes = 0

  /// `limit` counts data; with `discards` the data is only counted.
  init(limit: Int, discards: Bool) {
    self.limit = limit
    self.discards = discards
  }

  /// Consumes what it can of `bytes`; returns how many, and whether the body has ended.
  mutating func decode(
    _ bytes: UnsafeRawBufferPointer, into body: inout ByteBuffer
  ) -> (consumed: Int, result: Result) {
    var offset = 0
    do throws(Failure) {
      while offset < bytes.count {
        switch stage {
        case .data:
          let count = min(size, bytes.count - offset)
          if !discards { body.append(bytes.slice(offset..<offset + count)) }
          offset += count
          size -= count
          received += count
          if size == 0 { stage = .dataReturn }
        case .trailers:
          switch try decodeTrailer(bytes, &offset) {
          case .needMore: return (offset, .needMore)
          case .done: return (offset, .done)
          case .malformed(let failure): return (offset, .malformed(failure))
          case nil: break
          }
        default:
          try decodeFraming(bytes[offset])
          offset += 1
        }
      }
    } catch {
      return (offset, .malformed(error))
    }
    return (offset, .needMore)
  }

  private mutating func decodeFraming(_ byte: UInt8) throws(Failure) {
    overhead += 1
    guard overhead <= HTTPLimits.chunkOverheadAllowance + received else { throw .badChunk }
    switch stage {
    case .size: try decodeSize(byte)
    case .extension:
      if byte == .carriageReturn {
        stage = .sizeLineFeed
        return
      }
      extensionCount += 1
      extensionTotal += 1
      guard byte.isFieldValue, extensionCount <= HTTPLimits.maximumChunkExtension,
        extensionTotal <= HTTPLimits.maximumChunkExtensions
      else { throw .badChunk }
    case .sizeLineFeed:
      guard byte == .lineFeed else { throw .badChunk }
      guard size <= limit - received else { throw .bodyTooLarge }
      stage = size == 0 ? .trailers : .data
    case .dataReturn:
      guard byte == .carriageReturn else { throw .badChunk }
      stage = .dataLineFeed
    case .dataLineFeed:
      guard byte == .lineFeed else { throw .badChunk }
      stage = .size
      digits = 0
      extensionCount = 0
    case .data, .trailers:
      preconditionFailure("data and trailers are not framing bytes")
    }
  }

  private mutating func decodeSize(_ byte: UInt8) throws(Failure) {
    if let digit = byte.hexadecimalValue {
      digits += 1
      // Sixteen digits fill 64 bits; what exceeds the limit by far is kept just above it.
      guard digits <= 16 else { throw .badChunk }
      size = min(size, limit + 1) << 4 | Int(digit)
      return
    }
    guard digits > 0 else { throw .badChunk }
    switch byte {
    case .carriageReturn: stage = .sizeLineFeed
    case UInt8(ascii: ";"): stage = .extension
    default: throw .badChunk
    }
  }

  /// One trailer line, read and dropped; nil when another may follow.
  private mutating func decodeTrailer(
    _ bytes: UnsafeRawBufferPointer, _ offset: inout Int
  ) throws(Failure) -> Result? {
    let lineLimit = offset + HTTPLimits.maximumTrailers - trailerBytes
    guard
      let end = bytes.firstIndex(
        of: .lineFeed, in: offset + scanned..<max(offset + scanned, min(lineLimit, bytes.count)))
    else {
      guard bytes.count < lineLimit else { throw .headTooLong }
      scanned = bytes.count - offset
      return .needMore
    }
    guard end > offset, bytes[end - 1] == .carriageReturn else { throw .badChunk }
    let line = bytes.slice(offset..<end - 1)
    trailerBytes += end + 1 - offset
    offset = end + 1
    scanned = 0
    if line.isEmpty { return .done }
    trailerCount += 1
    guard trailerCount <= HTTPLimits.maximumFields else { throw .tooManyFields }
    switch try FieldLine(line).known {
    case .contentLength, .transferEncoding, .host:
      throw .badRequest("bad_trailer", "A trailer holds a field that only a head may have.")
    default: return nil
    }
  }
}
