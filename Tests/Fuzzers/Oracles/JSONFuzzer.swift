import RaftKV

/// The body of `POST /key`.
///
/// Rules: accepted where the reference accepts, with the same strings; what was accepted, written
/// with every byte that may be escaped as an escape, is accepted again and is the same.
package enum JSONFuzzer: Fuzzer {
  package static let name = "json"

  package static func judge(_ input: [UInt8]) throws {
    let parsed = parse(input)
    let expected = ReferenceJSON.keyAndValue(input)
    try require(
      parsed?.key == expected?.0 && parsed?.value == expected?.1,
      "the parser has \(String(describing: parsed)), the reference \(String(describing: expected))")
    guard let parsed else { return }
    let escaped = "{\"value\":\(escape(parsed.value)),\"key\":\(escape(parsed.key))}"
    let again = parse(Array(escaped.utf8))
    try require(again?.key == parsed.key && again?.value == parsed.value, "escaped, it is another")
  }

  private static func parse(_ body: [UInt8]) -> (key: [UInt8], value: [UInt8])? {
    var decoded = ByteBuffer()
    return withExactCopy(body) { bytes in
      do throws(Failure) {
        let (key, value) = try JSONKeyValueParser.parse(bytes, decoded: &decoded)
        return (Array(key), Array(value))
      } catch {
        return nil
      }
    }
  }

  private static func escape(_ bytes: [UInt8]) -> String {
    let units = Array(String(decoding: bytes, as: UTF8.self).utf16)
    let escapes = units.map { unit in
      let digits = String(unit, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
    return "\"\(escapes.joined())\""
  }

  package static var seeds: [[UInt8]] {
    let texts = [
      #"{"key":"a","value":"b"}"#, "{ \"value\" : \"é€😀\" ,\r\n\t\"key\" : \"\" }",
      #"{"key":"\"\\\/\b\f\n\r\t","value":"\u00e9\uD83D\uDE00"}"#, #"{"key":"\ud800","value":""}"#,
      #"{"\u006bey":"a","value":"b","x":1}"#, #"{"key":"a","key":"a"}"#, "{}", "[null]",
    ]
    return texts.map { Array($0.utf8) }
  }
}
