/// One line for each answer (`-access-log`), with what was asked, never with a value.
package final class AccessLog {
  private let output: LogOutput
  private let clock: () -> Instant

  package init(output: LogOutput, clock: @escaping () -> Instant) {
    self.output = output
    self.clock = clock
  }

  /// Enough for the keys that people choose; a longer target is cut.
  private static let maximumTarget = 256

  /// `arrived`: when the bytes that completed the request were read.
  func write(
    _ kind: RequestKind, isHead: Bool, status: Int, bytes: Int,
    target: UnsafeRawBufferPointer, requestID: UnsafeRawBufferPointer, arrived: Instant
  ) {
    let duration = clock() - arrived
    output.write(.info, area: "access") { line in
      line.append("method", isHead ? "HEAD" : kind.method)
      let shown = target.slice(0..<min(target.count, Self.maximumTarget))
      line.append("target", String(decoding: shown, as: UTF8.self))
      line.append("status", UInt64(status))
      line.append("bytes", UInt64(bytes))
      line.append("duration_us", duration.nanoseconds / 1000)
      if requestID.count > 0 {
        line.append("request_id", String(decoding: requestID, as: UTF8.self))
      }
    }
  }
}
