import Testing

@testable import RaftKV

@Suite("JSONKeyValueParser")
struct JSONKeyValueParserTests {
  private func parse(_ bytes: [UInt8]) -> Result<[String], Failure> {
    var decoded = ByteBuffer()
    return bytes.withUnsafeBytes { bytes in
      do throws(Failure) {
        let (key, value) = try JSONKeyValueParser.parse(bytes, decoded: &decoded)
        return .success([
          String(decoding: key, as: UTF8.self), String(decoding: value, as: UTF8.self),
        ])
      } catch {
        return .failure(error)
      }
    }
  }

  @Test(
    "accepted texts",
    arguments: [
      (#"{"key":"a","value":"b"}"#, "a", "b"), (#"{"value":"b","key":"a"}"#, "a", "b"),
      (" \t\r\n{ \"key\" : \"a\" , \"value\" : \"\" } \n", "a", ""),
      (#"{"\u006bey":"\"\\\/\b\f\n\r\t","value":"\u0000"}"#, "\"\\/\u{8}\u{c}\n\r\t", "\0"),
      (#"{"key":"\u00e9\u20AC","value":"\uD83D\uDE00x"}"#, "é€", "😀x"),
      (#"{"key":"é€😀","value":"\uFFFF\#u{7f}"}"#, "é€😀", "\u{ffff}\u{7f}"),
    ])
  func accepts(_ text: String, _ key: String, _ value: String) {
    #expect(parse(Array(text.utf8)) == .success([key, value]))
  }

  static let refused: [(String, String)] = [
    ("", "bad_json"), (" ", "bad_json"), ("[]", "bad_json"), ("null", "bad_json"),
    ("{", "bad_json"),
    ("{}", "missing_member"), (#"{"key":"a"}"#, "missing_member"),
    (#"{"key":"a","value":"b","x":1}"#, "unknown_member"),
    (#"{"Key":"a","value":"b"}"#, "unknown_member"),
    (#"{"key":"a","key":"a","value":"b"}"#, "duplicate_member"),
    (#"{"key":"a","value":"b"}x"#, "bad_json"), (#"{"key":"a","value":"b"}{}"#, "bad_json"),
    (#"{"key":"a","value":"b",}"#, "bad_json"), (#"{,"key":"a","value":"b"}"#, "bad_json"),
    (#"{"key":"a" "value":"b"}"#, "bad_json"), (#"{"key" "a","value":"b"}"#, "bad_json"),
    (#"{"key"::"a","value":"b"}"#, "bad_json"), (#"{key:"a","value":"b"}"#, "bad_json"),
    (#"{'key':'a'}"#, "bad_json"), (#"{"key":1,"value":"b"}"#, "bad_json"),
    (#"{"key":null,"value":"b"}"#, "bad_json"), (#"{"key":["a"],"value":"b"}"#, "bad_json"),
    (#"{"key":"a","value":"b"#, "bad_json"), (#"{"key":"a","value":"b""#, "bad_json"),
    (#"{"key":"\x","value":"b"}"#, "bad_json"), (#"{"key":"\u12","value":"b"}"#, "bad_json"),
    (#"{"key":"\u12g4","value":"b"}"#, "bad_json"), (#"{"key":"\U0041","value":"b"}"#, "bad_json"),
    (#"{"key":"\ud800","value":"b"}"#, "bad_json"),
    (#"{"key":"\udc00\ud800","value":"b"}"#, "bad_json"),
    (#"{"key":"\ud800\u0041","value":"b"}"#, "bad_json"),
    (#"{"key":"\ud800\n","value":"b"}"#, "bad_json"),
    ("{\"key\":\"a\nb\",\"value\":\"b\"}", "bad_json"),
    ("{\"key\":\"\0\",\"value\":\"b\"}", "bad_json"),
    ("\u{feff}{\"key\":\"a\",\"value\":\"b\"}", "bad_json"), (#"{"key":"a\"#, "bad_json"),
    ("{\u{c}\"key\":\"a\",\"value\":\"b\"}", "bad_json"),
    (#"{/**/"key":"a","value":"b"}"#, "bad_json"),
  ]

  @Test("refused texts", arguments: refused)
  func refuses(_ text: String, _ code: String) {
    guard case .failure(let failure) = parse(Array(text.utf8)) else {
      Issue.record("accepted \(text)")
      return
    }
    #expect(failure.status == 400)
    #expect(failure.code == code)
    #expect(failure.message.contains("at byte "))
  }

  @Test("bytes are accepted exactly where Unicode's own decoder accepts them")
  func utf8() {
    var random = Random(seed: 3)
    let heads: [UInt8] = [
      0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff,
    ]
    let tails: [UInt8] = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0]
    for _ in 0..<5000 {
      var text = [heads.randomElement(using: &random)!]
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        text.append(tails.randomElement(using: &random)!)
      }
      let body = Array(#"{"key":"k","value":""#.utf8) + text + Array("\"}".utf8)
      let isAccepted = if case .success = parse(body) { true } else { false }
      #expect(isAccepted == (String(validating: text, as: UTF8.self) != nil), "\(text)")
    }
  }
}
