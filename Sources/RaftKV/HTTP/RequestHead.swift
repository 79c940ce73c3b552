/// A request line and its fields, understood. Ranges are offsets into the bytes that were parsed;
/// the head itself owns nothing.
package struct RequestHead: Equatable, Sendable {
  package enum Framing: Equatable, Sendable {
    case none
    case length(Int)
    case chunked
  }

  package var method = Method.unknown
  /// As sent, without scheme and authority: what a redirect repeats.
  package var path = 0..<0
  /// Behind the first `?`; empty where there is none.
  package var query = 0..<0
  /// The target holds a `%` or a `+` somewhere; if not, its pieces mean what they are.
  package var isEncoded = false
  /// `OPTIONS *`.
  package var isAsterisk = false
  /// 0 or 1; any later minor version is spoken to as 1.
  package var minorVersion: UInt8 = 1
  package var framing = Framing.none
  /// A `Content-Length` was given, be it 0: then the absence of a body is meant.
  package var statesLength = false
  package var keepsAlive = true
  package var expectsContinue = false
  /// An `Expect` that is not `100-continue`.
  package var hasUnknownExpectation = false
  /// `X-Request-Id`, where there is one that can be repeated in the answer; else empty.
  package var requestID = 0..<0
  /// How many bytes the head occupies, up to and with its empty line.
  package var length = 0
}
