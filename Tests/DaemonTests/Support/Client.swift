/// Requests as curl would make them, one connection each.
enum Client {
  /// Follows 307 as `curl -L` does, when told to.
  static func request(
    _ method: String, _ address: String, _ target: String, body: [UInt8]? = nil,
    fields: String = "", follows: Bool = false, patience: Double = 60
  ) throws -> Response {
    var address = address
    var target = target
    for _ in 0..<10 {
      let connection = try Connection(to: address, patience: patience)
      var head =
        "\(method) \(target) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\(fields)"
      if let body { head += "Content-Length: \(body.count)\r\n" }
      try connection.send(Array((head + "\r\n").utf8) + (body ?? []))
      let response = try connection.response(isHead: method == "HEAD")
      guard follows, response.status == 307 else { return response }
      guard let location = response["Location"], location.hasPrefix("http://") else {
        throw ClientError.malformed("a redirect without a usable Location")
      }
      let rest = location.dropFirst(7)
      let slash = rest.firstIndex(of: "/")!
      address = String(rest[..<slash])
      target = String(rest[slash...])
    }
    throw ClientError.malformed("redirected without end")
  }

  static func json(_ key: String, _ value: String) -> [UInt8] {
    Array("{\"key\":\"\(key)\",\"value\":\"\(value)\"}".utf8)
  }
}
