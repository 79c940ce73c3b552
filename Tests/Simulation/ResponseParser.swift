/// A response as a client has read it.
package struct Response: Equatable {
  package struct Field: Equatable {
    package var name: String
    package var value: String
  }

  package var status: Int
  package var fields: [Field]
  package var body: [UInt8] = []

  /// The value of the one field of this name, in lower case; nil if there is none.
  package func field(_ name: String) -> String? {
    fields.first { $0.name == name }?.value
  }

  /// The server takes no further request on this connection.
  package var closes: Bool { field("connection") == "close" }
  package var text: String { String(decoding: body, as: UTF8.self) }

  /// For people: the status, and the body where that is text.
  package var summary: String {
    let isText = body.count <= 200 && body.allSatisfy { 0x20..<0x7f ~= $0 }
    return "\(status) " + (isText ? text : "with \(body.count) bytes")
  }
}

/// Reads responses from a connection's bytes, strictly and slowly, and shares no line with what
/// wrote them: framing by RFC 9112 §6.3 as far as our server may use it, that is by Content-Length
/// alone.
package struct ResponseParser {
  package struct Malformed: Error, Equatable {
    package var message: String
  }

  package enum Result: Equatable {
    case needMore
    /// 1xx: the final response is still to come.
    case interim(Int)
    case response(Response)
  }

  private var bytes: [UInt8] = []

  package init() {}

  package var isEmpty: Bool { bytes.isEmpty }

  package mutating func append(_ fragment: some Sequence<UInt8>) { bytes += fragment }

  /// The next response. `isHead`: it answers a HEAD request, and has no body whatever its fields
  /// say.
  package mutating func next(isHead: Bool) throws(Malformed) -> Result {
    guard let end = headEnd else {
      if bytes.count > 32 << 10 { throw Malformed(message: "a head without an end") }
      return .needMore
    }
    var lines = try Self.lines(bytes[..<end])
    let status = try Self.status(lines.removeFirst())
    var response = Response(status: status, fields: [])
    for line in lines { response.fields.append(try Self.field(line)) }
    for field in response.fields {
      guard response.fields.filter({ $0.name == field.name }).count == 1 else {
        throw Malformed(message: "\(field.name) stands twice")
      }
    }
    let length = try Self.length(response)
    let bodyStart = end + 4
    if status < 200 {
      bytes.removeFirst(bodyStart)
      return .interim(status)
    }
    let bodyEnd = bodyStart + (isHead ? 0 : length)
    guard bytes.count >= bodyEnd else { return .needMore }
    response.body = Array(bytes[bodyStart..<bodyEnd])
    bytes.removeFirst(bodyEnd)
    return .response(response)
  }

  /// Where the empty line begins that ends the head: at the line end before it.
  private var headEnd: Int? {
    guard bytes.count >= 4 else { return nil }
    return (0...bytes.count - 4).first {
      bytes[$0] == 13 && bytes[$0 + 1] == 10 && bytes[$0 + 2] == 13 && bytes[$0 + 3] == 10
    }
  }

  private static func lines(_ head: ArraySlice<UInt8>) throws(Malformed) -> [String] {
    var lines: [String] = []
    var line: [UInt8] = []
    var position = head.startIndex
    while position < head.endIndex {
      let byte = head[position]
      position += 1
      if byte == 13, position < head.endIndex, head[position] == 10 {
        position += 1
        lines.append(String(decoding: line, as: UTF8.self))
        line = []
      } else if byte >= 0x20 && byte < 0x7f {
        line.append(byte)
      } else {
        throw Malformed(message: "byte \(byte) in a head")
      }
    }
    return lines + [String(decoding: line, as: UTF8.self)]
  }

  private static func status(_ line: String) throws(Malformed) -> Int {
    let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count == 3, words[0] == "HTTP/1.1", words[1].utf8.count == 3,
      let status = Int(words[1]), 100...599 ~= status, !words[2].isEmpty
    else { throw Malformed(message: "the status line \(line)") }
    return status
  }

  private static func field(_ line: String) throws(Malformed) -> Response.Field {
    // In bytes, which are characters here: `lines` lets nothing but ASCII through.
    let text = line.utf8
    guard let colon = text.firstIndex(of: UInt8(ascii: ":")), colon != text.startIndex else {
      throw Malformed(message: "the field line \(line)")
    }
    let name = text[..<colon]
    let isToken = name.allSatisfy {
      $0 == UInt8(ascii: "-") || UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20
    }
    let space = UInt8(ascii: " ")
    let rest = text[text.index(after: colon)...]
    guard isToken, rest.first == space, rest.count > 1, rest.last != space else {
      throw Malformed(message: "the field line \(line)")
    }
    return Response.Field(
      name: String(name)!.lowercased(), value: String(rest.dropFirst())!)
  }

  private static func length(_ response: Response) throws(Malformed) -> Int {
    if response.field("transfer-encoding") != nil {
      throw Malformed(message: "a transfer coding, which this server never uses")
    }
    let field = response.field("content-length")
    if response.status < 200 || response.status == 204 {
      if field != nil { throw Malformed(message: "\(response.status) with a Content-Length") }
      return 0
    }
    guard let field, let length = Int(field), length >= 0, "\(length)" == field else {
      throw Malformed(message: "\(response.status) with the length \(field ?? "of nobody knows")")
    }
    return length
  }
}
