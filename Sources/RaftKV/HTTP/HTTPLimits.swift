/// What one client may make us hold. Each limit is the smallest that no honest client meets.
package struct HTTPLimits: Sendable {
  /// `-max-value-size`: the longest value, in bytes.
  package var maximumValue: Int

  package init(maximumValue: Int = 1 << 20) { self.maximumValue = maximumValue }

  /// Fits in a log batch with room to spare, and its percent-encoding in a request target.
  package static let maximumKey = 4096
  /// A key of 4096 bytes is 12 288 octets when every byte is escaped; RFC 9110 §4.1 asks for 8000.
  package static let maximumTarget = 16 << 10
  /// The target, and as much again as the fields of a browser with cookies.
  package static let maximumHead = 24 << 10
  /// One field line without its line end.
  package static let maximumField = 8 << 10
  package static let maximumFields = 100
  /// A UUID with a prefix and more; a longer id is not repeated.
  package static let maximumRequestID = 128
  /// Two bytes each: old clients sent one CRLF too many after a body (RFC 9112 §2.2).
  package static let maximumEmptyLines = 2
  /// The longest registered method we might meet is shorter; more bytes without a space are no
  /// HTTP.
  package static let maximumMethod = 16
  /// Nobody sends extensions; enough for a signature, too little to hide a flood in.
  package static let maximumChunkExtension = 256
  package static let maximumChunkExtensions = 4096
  package static let maximumTrailers = 8 << 10
  /// Framing may cost this much and then one byte per byte of data: a million chunks of one byte
  /// cost five times what they carry.
  package static let chunkOverheadAllowance = 16 << 10
  /// A body that nobody wants is read this far, to keep the connection; a longer one costs it.
  package static let maximumDiscard = 64 << 10
  /// Requests that wait for their replies on one connection; beyond it we stop reading.
  package static let pipelineDepth = 64
  /// Answers that wait for a slow reader; beyond it no further request is begun.
  package static let maximumOutput = 1 << 20
  /// What an idle connection keeps of buffers that were once large.
  package static let idleBuffer = 16 << 10

  /// From a head's first byte to its last: a total, so that a byte per second does not extend it.
  package static let headTime = Interval.seconds(10)
  /// A body may dawdle this long, then must have kept 1 kB/s on average.
  package static let bodyGrace = Interval.seconds(10)
  package static let bodyTimePerByte = Interval.milliseconds(1)
  package static let writeStallTime = Interval.seconds(30)
  package static let idleTime = Interval.seconds(60)
  /// Long enough for our last answer to arrive before a reset could overtake it (RFC 9112 §9.6).
  package static let lingerTime = Interval.seconds(1)

  /// JSON may spell each byte of key and value as `\u00XX`, plus braces, names and white space.
  package var maximumJSON: Int { 6 * (maximumValue + Self.maximumKey) + 1024 }
}
