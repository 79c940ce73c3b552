/// The methods some path of ours answers to. All others are 501 (RFC 9110 §9.1).
package enum Method: UInt8, Sendable {
  case get, head, post, put, delete, options
  case connect
  case unknown

  init(_ token: UnsafeRawBufferPointer) {
    switch token.count {
    case 3:
      self = token.equals("GET") ? .get : token.equals("PUT") ? .put : .unknown
    case 4:
      self = token.equals("POST") ? .post : token.equals("HEAD") ? .head : .unknown
    case 6:
      self = token.equals("DELETE") ? .delete : .unknown
    case 7:
      self = token.equals("OPTIONS") ? .options : token.equals("CONNECT") ? .connect : .unknown
    default:
      self = .unknown
    }
  }
}

/// The methods of one path, as its `Allow` field lists them.
package struct MethodSet: OptionSet, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let get = MethodSet(rawValue: 1)
  package static let head = MethodSet(rawValue: 2)
  package static let post = MethodSet(rawValue: 4)
  package static let put = MethodSet(rawValue: 8)
  package static let delete = MethodSet(rawValue: 16)
  package static let options = MethodSet(rawValue: 32)

  package static let key: MethodSet = [.get, .head, .post, .put, .delete, .options]
  package static let membership: MethodSet = [.get, .post, .options]
  package static let status: MethodSet = [.get, .head, .options]
}

extension ByteBuffer {
  /// Appends the set as a list: `GET, HEAD, OPTIONS`.
  mutating func append(_ methods: MethodSet) {
    var isFirst = true
    for (method, name) in [
      (MethodSet.get, "GET" as StaticString), (.head, "HEAD"), (.post, "POST"), (.put, "PUT"),
      (.delete, "DELETE"), (.options, "OPTIONS"),
    ] where methods.contains(method) {
      if !isFirst { append(", " as StaticString) }
      append(name)
      isFirst = false
    }
  }
}
