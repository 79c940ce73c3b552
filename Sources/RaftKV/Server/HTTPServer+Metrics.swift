/// The HTTP side's part of `/metrics`.
extension HTTPServer {
  func appendMetrics(to text: inout MetricsText) {
    text.begin(
      "raftkvd_http_requests_total", .counter,
      "Answers by route, method, level and status code; no route: no request of ours.")
    for kind in RequestKind.allCases {
      for (place, status) in RequestMetrics.statuses.enumerated() {
        let count = metrics.count(kind, place: place)
        guard count > 0 else { continue }
        text.sample(
          count,
          [
            ("route", kind.route), ("method", kind.method), ("level", kind.level),
            ("code", status == 0 ? "other" : "\(status)"),
          ])
      }
    }
    text.begin(
      "raftkvd_http_parse_duration_seconds", .histogram,
      "From reading the bytes that complete a request to its hand-over.")
    text.sample(metrics.parse)
    text.add("raftkvd_http_connections", .gauge, "Open client connections.", UInt64(count))
    text.add(
      "raftkvd_http_connections_maximum", .gauge, "Client connections that are let in.",
      UInt64(maximumConnections))
    text.add(
      "raftkvd_http_connections_accepted_total", .counter, "Client connections let in.",
      metrics.acceptedConnections)
    text.add(
      "raftkvd_http_connections_rejected_total", .counter,
      "Client connections told that there is no room.", metrics.rejectedConnections)
    text.add(
      "raftkvd_http_requests_shed_total", .counter,
      "Requests refused while arriving because all connections together held too much.",
      metrics.shedRequests)
    text.add(
      "raftkvd_http_buffered_bytes", .gauge, "Half-received requests and unread answers.",
      UInt64(buffered))
    text.add(
      "raftkvd_http_received_bytes_total", .counter, "Bytes received from clients.",
      metrics.bytesReceived)
    text.add(
      "raftkvd_http_sent_bytes_total", .counter, "Bytes handed to clients.", metrics.bytesSent)
  }
}
