/// What can go wrong between a test and a node.
enum ClientError: Error, Equatable, CustomStringConvertible {
  /// Nobody listens there.
  case refused
  /// The connection ended before the answer was whole.
  case hungUp
  case timedOut(String)
  case malformed(String)
  case system(String, Int32)

  var description: String {
    switch self {
    case .refused: "connection refused"
    case .hungUp: "the connection ended before the answer was whole"
    case .timedOut(let what): "timed out: \(what)"
    case .malformed(let what): "malformed: \(what)"
    case .system(let call, let code): "\(call) failed with errno \(code)"
    }
  }
}
