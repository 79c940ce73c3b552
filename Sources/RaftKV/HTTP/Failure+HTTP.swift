/// The failures that HTTP itself finds. Codes are for programs, messages tell people what to do.
extension Failure {
  static func badRequest(_ code: String, _ message: String) -> Failure {
    Failure(status: 400, code: code, message: message)
  }

  static let targetTooLong = Failure(
    status: 414, code: "target_too_long",
    message: "The request target is longer than 16384 bytes; send a shorter key.")
  static let fieldTooLong = Failure(
    status: 431, code: "field_too_long",
    message: "A header field is longer than 8192 bytes; send shorter fields.")
  static let headTooLong = Failure(
    status: 431, code: "head_too_long",
    message: "The request's head is longer than 24576 bytes; send fewer or shorter fields.")
  static let tooManyFields = Failure(
    status: 431, code: "too_many_fields",
    message: "The request has more than 100 header fields; send fewer.")
  static let versionNotSupported = Failure(
    status: 505, code: "version_not_supported",
    message: "This server speaks HTTP/1.1; use that version.")
  static let methodNotImplemented = Failure(
    status: 501, code: "method_not_implemented",
    message: "No path of this server has this method; see the Allow field of `OPTIONS *`.",
    allowed: .key)
  static let codingNotImplemented = Failure(
    status: 501, code: "coding_not_implemented",
    message: "The only transfer coding known here is `chunked`; send the body without another.")
  static let lengthRequired = Failure(
    status: 411, code: "length_required",
    message: "A write needs a body: send `Content-Length`, which may be 0, or use chunked coding.")
  static let expectationFailed = Failure(
    status: 417, code: "expectation_failed",
    message: "The only expectation met here is `100-continue`; send the request without `Expect`.")
  static let bodyTooLarge = Failure(
    status: 413, code: "body_too_large",
    message: "The request's body is larger than this request may have; send a smaller one.")
  static let valueTooLarge = Failure(
    status: 413, code: "value_too_large",
    message: "The value is longer than -max-value-size allows; send a smaller one.")
  static let requestTimeout = Failure(
    status: 408, code: "request_timeout",
    message: "The request took too long to arrive; send it again, faster.")
  static let memoryShort = Failure(
    status: 503, code: "overloaded",
    message: "Too many requests are arriving at once to hold them all; try again.", retryAfter: 1)
  static let tooManyConnections = Failure(
    status: 503, code: "too_many_connections",
    message: "The server has no room; try again or another node.", retryAfter: 1)
  static let badChunk = badRequest(
    "bad_chunk", "The body's chunked framing is broken; check the client's encoder.")
  static let badEscape = badRequest(
    "bad_escape",
    "The target holds a `%` that two hexadecimal digits do not follow; write it `%25`.")
  static let badKey = badRequest("bad_key", "A key has 1 to 4096 bytes; pass one as `key`.")
  static let pathNotFound = Failure(
    status: 404, code: "not_found",
    message: "There is nothing at this path; the paths are /key, /join, /remove, /status, "
      + "/livez, /readyz and /metrics.")

  static func methodNotAllowed(_ allowed: MethodSet) -> Failure {
    Failure(
      status: 405, code: "method_not_allowed",
      message: "This path does not have this method; the Allow field lists those it has.",
      allowed: allowed)
  }

  /// The answer to `OPTIONS`; not an error, but it travels like one.
  static func options(_ allowed: MethodSet) -> Failure {
    Failure(status: 204, code: "", message: "", allowed: allowed)
  }
}
