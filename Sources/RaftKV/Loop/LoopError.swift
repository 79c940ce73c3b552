import CLibUV

/// What libuv or the system refused, in their own terms: `ECONNREFUSED: connection refused`.
package struct LoopError: Error, Hashable, Sendable, CustomStringConvertible {
  /// libuv's number; on Linux the negated errno, and below -3000 for name resolution.
  package let code: Int32

  package init(code: Int32) { self.code = code }

  /// The symbolic name: `ECONNREFUSED`.
  package var name: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
      String(cString: uv_err_name_r(code, text.baseAddress, text.count))
    }
  }

  /// The name in words: `connection refused`.
  package var message: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { text in
      String(cString: uv_strerror_r(code, text.baseAddress, text.count))
    }
  }

  package var description: String { "\(name): \(message)" }

  /// Nobody listens there: of all failures to connect the only one that proves a process gone.
  package static let connectionRefused = LoopError(UV_ECONNREFUSED)
  package static let addressInUse = LoopError(UV_EADDRINUSE)
  static let addressNotAvailable = LoopError(UV_EADDRNOTAVAIL)

  private init(_ code: uv_errno_t) { self.init(code: code.rawValue) }

  /// Throws where libuv's answer is an error.
  static func check(_ status: Int32) throws(LoopError) {
    guard status >= 0 else { throw LoopError(code: status) }
  }
}
