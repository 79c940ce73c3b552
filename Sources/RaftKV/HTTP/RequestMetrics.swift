/// What a request is counted as: its route, its method, and for reads the level.
package enum RequestKind: UInt8, CaseIterable, Sendable {
  case getDefault, getStale, getConsistent, put, post, delete
  case join, remove, status, live, ready, metrics
  /// No request of ours: malformed, or to a path or method that we do not have.
  case invalid

  package var route: String {
    switch self {
    case .getDefault, .getStale, .getConsistent, .put, .post, .delete: "/key"
    case .join: "/join"
    case .remove: "/remove"
    case .status: "/status"
    case .live: "/livez"
    case .ready: "/readyz"
    case .metrics: "/metrics"
    case .invalid: ""
    }
  }

  /// Of a write or of whatever may be asked with more than one.
  package var method: String {
    switch self {
    case .put: "PUT"
    case .post: "POST"
    case .delete: "DELETE"
    case .invalid: ""
    default: "GET"
    }
  }

  package var level: String {
    switch self {
    case .getDefault: "default"
    case .getStale: "stale"
    case .getConsistent: "consistent"
    default: ""
    }
  }
}

/// What the HTTP side counts: a table of fixed size, so that a request costs one addition.
package final class RequestMetrics {
  /// Every status we send, and one place for any other.
  package static let statuses = [
    200, 204, 307, 400, 404, 405, 408, 409, 411, 413, 414, 417, 429, 431, 500, 501, 503, 504, 505,
    507, 0,
  ]
  /// From a status to its place in `statuses`.
  private static let places: [UInt8] = {
    var places = [UInt8](repeating: UInt8(statuses.count - 1), count: 600)
    for (place, status) in statuses.enumerated() { places[status] = UInt8(place) }
    return places
  }()

  private let places = RequestMetrics.places
  private var counts = [UInt64](
    repeating: 0, count: RequestKind.allCases.count * statuses.count)
  /// From the bytes that complete a request to its hand-over.
  package let parse = Histogram()
  /// When the bytes that are being parsed were read, or the request before in them handed over.
  var readAt = Instant.zero
  var acceptedConnections: UInt64 = 0
  /// Over `-max-connections`.
  var rejectedConnections: UInt64 = 0
  /// Requests refused while arriving, because all connections together held too much.
  var shedRequests: UInt64 = 0
  var bytesReceived: UInt64 = 0
  var bytesSent: UInt64 = 0

  package init() {}

  func count(_ kind: RequestKind, status: Int) {
    let place = Int(places[(0..<600).contains(status) ? status : 0])
    counts[Int(kind.rawValue) * Self.statuses.count + place] &+= 1
  }

  /// A whole request has been handed over.
  func didParse(at now: Instant) {
    parse.observe(now - readAt)
    readAt = now
  }

  package func count(_ kind: RequestKind, place: Int) -> UInt64 {
    counts[Int(kind.rawValue) * Self.statuses.count + place]
  }
}
