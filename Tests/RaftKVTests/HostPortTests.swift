import RaftKV
import Testing

@Suite("HostPort")
struct HostPortTests {
  @Test(
    "what people write",
    arguments: [
      ("db1:8079", "db1", 8079), ("127.0.0.1:80", "127.0.0.1", 80), ("[::1]:80", "::1", 80),
      (":8079", "", 8079), ("0.0.0.0:0", "0.0.0.0", 0), ("[::]:65535", "::", 65535),
      ("node-1.example.com:1", "node-1.example.com", 1), ("my_service:1", "my_service", 1),
      ("[fe80::1%eth0]:1", "fe80::1%eth0", 1), ("[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1", 1),
      ("3com.example:1", "3com.example", 1), ("A:00080", "A", 80),
    ])
  func accepted(text: String, host: String, port: Int) throws {
    let parsed = try #require(HostPort(text))
    #expect(parsed.host == host)
    #expect(parsed.port == port)
    #expect(HostPort(parsed.description) == parsed)
  }

  @Test(
    "what is no host and port",
    arguments: [
      "", ":", "db1", "db1:", "8079", "::1:80", "::1", "[::1]", "[::1]80", "[::1:80", "::1]:80",
      "[]:80", "[db1]:80", "[127.0.0.1]:80", "[::1%]:80", "[::1%a b]:80", "[::g]:80",
      "[::1%averyveryverylongzone]:80", "db1:65536", "db1:-1", "db1:+1", "db1:0x50", "db1: 80",
      "db1:123456", "db1:８０", "a b:80", "a\r\nX:80", "a/b:80", "user@db1:80", "http://db1:80",
      "a..b:80", ".a:80", "a.:80", "-a:80", "a-:80", "10.0.0.300:80", "10.0.0:80", "1:80",
      "0127.0.0.1:80", "ä:80", "a\0b:80",
      String(repeating: "a", count: 64) + ":80",
      String(repeating: "a.", count: 127) + "a:80",
    ])
  func refused(text: String) {
    #expect(HostPort(text) == nil)
  }

  @Test("a name of 253 characters is the longest")
  func longest() throws {
    let name = String(repeating: "a.", count: 126) + "a"
    #expect(name.utf8.count == 253)
    #expect(HostPort(name + ":80")?.host == name)
  }

  @Test("a description can be dialled and printed")
  func descriptions() {
    #expect(HostPort("[::1]:80")?.description == "[::1]:80")
    #expect(HostPort("db1:80")?.description == "db1:80")
    #expect(HostPort(":80")?.description == ":80")
    #expect(HostPort("db1:0")?.with(port: 8079).description == "db1:8079")
  }

  @Test("wildcards are for listening")
  func wildcards() throws {
    for text in [":80", "0.0.0.0:80", "[::]:80", "[0:0:0:0:0:0:0:0]:80", "[::%lo]:80"] {
      let address = try #require(HostPort(text))
      #expect(address.isWildcard)
      #expect(!address.isDialable)
    }
    for text in ["db1:80", "127.0.0.1:80", "[::1]:80"] {
      let address = try #require(HostPort(text))
      #expect(!address.isWildcard)
      #expect(address.isDialable)
      #expect(!address.with(port: 0).isDialable)
    }
  }

  @Test("no text crashes it")
  func noise() {
    var random = Random(seed: 3)
    let alphabet = Array("[]:%.-_a0 1/\u{e4}".unicodeScalars)
    for _ in 0..<20_000 {
      var text = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 0...12, using: &random) {
        text.append(alphabet.randomElement(using: &random)!)
      }
      guard let parsed = HostPort(String(text)) else { continue }
      #expect(HostPort(parsed.description) == parsed)
    }
  }
}
