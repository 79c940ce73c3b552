import RaftKV

/// A request as the bytes of HTTP, in one of the many ways in which a client may write it.
struct EncodedRequest {
  /// What the server must say to it.
  enum Expectation {
    /// What the replica says.
    case replica(Request.Action, key: Int)
    /// What the replica says of itself.
    case status
    /// The server knows by itself.
    case answer(Int)
  }

  var head: [UInt8] = []
  var body: [UInt8] = []
  var expectation: Expectation
  /// As a redirect repeats it.
  var target = ""
  var isHead = false
  /// The server takes nothing after it.
  var closes = false
  /// The body waits for `100 Continue`.
  var expectsContinue = false

  // MARK: What clients ask

  init(_ action: Request.Action, key: Int, of world: World, _ random: inout Random) {
    expectation = .replica(action, key: key)
    var method = "GET"
    let name = random.coin(0.5) ? "k" : random.coin(0.5) ? "%6b" : "%6B"
    let keyText = "\(name)%0\(String(key, radix: 16, uppercase: random.coin(0.5)))"
    let mayExpect = random.coin(0.1)
    switch action {
    case .get(let level):
      target = Self.query("/key", ["key=\(keyText)"] + Self.level(level, &random), &random)
    case .put(let value, let size):
      let bytes = Request.valueBytes(value, size: size)
      if bytes.allSatisfy({ $0 < 0x80 }), random.coin(0.5) {
        method = "POST"
        target = "/key"
        body = Self.json(key, bytes, &random)
      } else {
        method = "PUT"
        target = Self.query("/key", ["key=\(keyText)"], &random)
        body = bytes
      }
    case .delete:
      method = "DELETE"
      target = Self.query(random.coin(0.5) ? "/key" : "/key/", ["key=\(keyText)"], &random)
    case .join(let host):
      let joining = world.hosts[host]
      method = random.coin(0.5) ? "GET" : "POST"
      target = Self.query(
        "/join",
        ["id=\(joining.name)", "addr=\(joining.raftAddress)", "haddr=\(joining.httpAddress)"],
        &random)
    case .remove(let name, let force):
      method = random.coin(0.5) ? "GET" : "POST"
      let forced = force ? ["force=true"] : random.coin(0.5) ? [] : ["force=false"]
      target = Self.query("/remove", ["id=\(name)"] + forced, &random)
    }
    expectsContinue = mayExpect
    write(method, &random)
  }

  private static func level(_ level: ReadLevel, _ random: inout Random) -> [String] {
    switch level {
    case .leaseBound: random.coin(0.5) ? [] : ["level=default"]
    case .stale: ["level=stale"]
    case .consistent: ["level=consistent"]
    }
  }

  private static func query(
    _ path: String, _ parameters: [String], _ random: inout Random
  ) -> String {
    var parameters = parameters
    if random.coin(0.1) { parameters.append("unknown=%20+") }
    parameters.shuffle(using: &random)
    return path + "?" + parameters.joined(separator: "&")
  }

  private static func json(_ key: Int, _ value: [UInt8], _ random: inout Random) -> [UInt8] {
    func string(_ bytes: [UInt8], _ random: inout Random) -> String {
      var text = "\""
      for byte in bytes {
        let isPlain = byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
        if isPlain, random.coin(0.9) {
          text.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
          let digits = String(byte, radix: 16)
          text += "\\u00" + (digits.count == 1 ? "0" : "") + digits
        }
      }
      return text + "\""
    }
    let space = random.coin(0.2) ? " \r\n\t" : ""
    var members = [
      "\"key\":\(space)" + string([0x6b, UInt8(key)], &random),
      "\"value\":" + string(value, &random),
    ]
    if random.coin(0.3) { members.swapAt(0, 1) }
    return Array("\(space){\(members.joined(separator: ",\(space)"))}\(space)".utf8)
  }

  // MARK: What comes along

  /// A request that nobody waits for, in front of or behind others: it must not disturb them.
  init(companion random: inout Random, key: Int, of world: World) {
    expectation = .status
    var method = "GET"
    switch random.below(11) {
    case 0, 1, 2:
      method = random.coin(0.5) ? "GET" : "HEAD"
      expectation = .replica(.get(.stale), key: key)
      target = "/key?level=stale&key=k%0\(String(key, radix: 16))"
    case 3: target = "/status"
    case 4: (target, expectation) = ("/nothing?key=a", .answer(404))
    case 5: (target, expectation) = ("/key?level=stale", .answer(400))
    case 6: (method, target, expectation) = ("DELETE", "/status", .answer(405))
    case 7: (method, target, expectation) = ("OPTIONS", "/key", .answer(204))
    case 8: (method, target, expectation, body) = ("POST", "/key", .answer(400), Array("{}".utf8))
    case 9: (method, target, expectation) = ("PATCH", "/key?key=a", .answer(501))
    default: (method, target, expectation) = ("HEAD", "/status", .status)
    }
    isHead = method == "HEAD"
    write(method, &random)
  }

  /// One that no server can go on after.
  init(last random: inout Random) {
    expectation = .answer(400)
    closes = true
    switch random.below(5) {
    case 0: head = Array("GET  /key?key=a HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    case 1:
      expectation = .answer(505)
      head = Array("GET /key?key=a HTTP/2.0\r\nHost: a\r\n\r\n".utf8)
    case 2:
      head = Array(
        """
        PUT /key?key=a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\
        \r\n\r\n0\r\n\r\n
        """.utf8)
    case 3:
      expectation = .answer(413)
      head = Array("PUT /key?key=a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n".utf8)
    default: head = Array("GET /key?key=a HTTP/1.1\r\n folded: a\r\n\r\n".utf8)
    }
  }

  // MARK: Writing

  private mutating func write(_ method: String, _ random: inout Random) {
    let isOld = random.coin(0.05)
    var fields = ["Host: \(random.coin(0.5) ? "n1:80" : "[::1]:8079")"]
    if isOld {
      let keepsAlive = random.coin(0.5)
      if keepsAlive { fields.append("Connection: Keep-Alive") } else { closes = true }
    } else if random.coin(0.05) {
      fields.append("Connection: close")
      closes = true
    }
    if random.coin(0.3) { fields.append("User-Agent:\t curl/8 ") }
    if random.coin(0.1) { fields.append("X-Empty:") }
    // A body where none is wanted is dropped.
    if body.isEmpty, method != "HEAD", random.coin(0.05) { body = Array("not wanted".utf8) }
    if body.isEmpty { expectsContinue = false }
    if !body.isEmpty || method == "POST" || method == "PUT" {
      frameBody(isOld: isOld, &fields, &random)
    }
    fields.shuffle(using: &random)
    let empty = random.coin(0.05) ? "\r\n" : ""
    let line = "\(empty)\(method) \(target) HTTP/1.\(isOld ? 0 : 1)\r\n"
    let names = fields.map { random.coin(0.2) ? Self.shouting($0) : $0 }
    head = Array((line + names.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
  }

  private static func shouting(_ field: String) -> String {
    let name = field.prefix { $0 != ":" }
    return name.uppercased() + field.dropFirst(name.count)
  }

  private mutating func frameBody(
    isOld: Bool, _ fields: inout [String], _ random: inout Random
  ) {
    expectsContinue = expectsContinue && !isOld && !body.isEmpty
    if expectsContinue { fields.append("Expect: 100-continue") }
    guard !isOld, random.coin(0.2) else {
      return fields.append("Content-Length: \(body.count)")
    }
    fields.append("Transfer-Encoding: chunked")
    var chunks: [UInt8] = []
    var rest = body[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(1 + random.below(rest.count))
      let note = random.coin(0.1) ? ";note=\"x\"" : ""
      chunks += Array("\(String(chunk.count, radix: 16))\(note)\r\n".utf8) + chunk + [13, 10]
      rest = rest.dropFirst(chunk.count)
    }
    body = chunks + Array("0\r\n\(random.coin(0.1) ? "X-Trailer: a\r\n" : "")\r\n".utf8)
  }
}

extension Request {
  /// The number in front, and then a byte of it over and over.
  static func valueBytes(_ value: UInt64, size: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: value), count: size)
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, as: UInt64.self) }
    return bytes
  }
}
