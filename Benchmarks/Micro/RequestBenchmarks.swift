import RaftKV

/// What lies between the bytes of a request and the command that the log takes.
enum RequestBenchmarks {
  private static let value = String(repeating: "v", count: 128)

  static func run(_ measurement: Measurement) {
    heads(measurement)
    bodies(measurement)
    commands(measurement)
  }

  private static func heads(_ measurement: Measurement) {
    let requests = [
      ("GET of a benchmark", "GET /key?key=key:000000000001&level=default HTTP/1.1\r\nHost: x\r\n"),
      (
        "GET of curl",
        "GET /key?key=raft&level=stale HTTP/1.1\r\nHost: 127.0.0.1:8079\r\n"
          + "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
      ),
      (
        "POST of a browser",
        "POST /key HTTP/1.1\r\nHost: kv.example.org\r\n"
          + "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
          + "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB\r\n"
          + "Accept-Encoding: gzip, deflate, br\r\nContent-Type: application/json\r\n"
          + "Content-Length: 165\r\nConnection: keep-alive\r\nX-Request-Id: 7f3a9c\r\n"
      ),
    ]
    for (name, text) in requests {
      Array((text + "\r\n").utf8).withUnsafeBytes { bytes in
        measurement.measure("request head, \(name)", operations: 200_000) { count in
          var parser = RequestParser()
          for _ in 0..<count { keep(parser.parse(bytes)) }
        }
      }
    }
  }

  private static func bodies(_ measurement: Measurement) {
    let bodies = [
      ("plain", "{\"key\":\"key:000000000001\",\"value\":\"\(value)\"}"),
      (
        "with escapes",
        "{\"key\":\"a\\u00e4b\",\"value\":\"\(value.replacing("vv", with: "\\n"))\"}"
      ),
      ("16 KiB", "{\"key\":\"k\",\"value\":\"\(String(repeating: "v", count: 16 << 10))\"}"),
    ]
    for (name, text) in bodies {
      Array(text.utf8).withUnsafeBytes { bytes in
        var decoded = ByteBuffer()
        measurement.measure("JSON body, \(name)", operations: 50_000) { count in
          for _ in 0..<count { keep(try? JSONKeyValueParser.parse(bytes, decoded: &decoded)) }
        }
      }
    }
  }

  private static func commands(_ measurement: Measurement) {
    let key = Array("key:000000000001".utf8)
    let value = Array(value.utf8)
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        var buffer = ByteBuffer(capacity: 1024)
        measurement.measure("command, encode", operations: 500_000) { count in
          for clock in 0..<count {
            buffer.clear()
            Command.put(key: key, value: value, clock: UInt64(clock)).encode(into: &buffer)
          }
        }
        measurement.measure("command, decode", operations: 500_000) { count in
          for _ in 0..<count { keep(try? Command(decoding: buffer.readable)) }
        }
      }
    }
  }
}
