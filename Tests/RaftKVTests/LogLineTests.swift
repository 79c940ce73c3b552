import Foundation
import Testing

@testable import RaftKV

@Suite("Log lines")
struct LogLineTests {
  private func line(
    _ style: LogStyle, _ message: String, isJournal: Bool = false, area: String = ""
  ) -> String {
    var line = LogLine()
    line.begin(
      style, .warning, isJournal: isJournal, time: "2026-11-24T04:43:15.123Z", node: "n1",
      area: area)
    line.append("msg", message)
    line.append("index", 12)
    return String(decoding: line.finish(), as: UTF8.self)
  }

  @Test("logfmt: what needs quotes has them")
  func logfmt() {
    #expect(
      line(.logfmt, "leads in term 3", area: "peer")
        == "time=2026-11-24T04:43:15.123Z level=warning node=n1 area=peer msg=\"leads in term 3\" "
        + "index=12\n")
    #expect(line(.logfmt, "stopped").hasSuffix(" msg=stopped index=12\n"))
    #expect(line(.logfmt, "").hasSuffix(" msg=\"\" index=12\n"))
    #expect(line(.logfmt, "a=b").hasSuffix(" msg=\"a=b\" index=12\n"))
  }

  @Test("an event is one line, whatever a client has put into it", arguments: LogStyle.allCases)
  func injection(_ style: LogStyle) {
    let text = line(style, "a\nlevel=error \"b\\c\u{1}")
    #expect(text.split(separator: "\n").count == 1 && text.hasSuffix("\n"))
    #expect(text.contains("\\u000Alevel=error \\\"b\\\\c\\u0001"))
  }

  @Test("JSON: one object per line, numbers as numbers")
  func json() throws {
    let text = line(.json, "a \"quoted\" word\n")
    let object = try #require(
      JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(object["msg"] as? String == "a \"quoted\" word\n" && object["index"] as? Int == 12)
    #expect(object["level"] as? String == "warning" && object["node"] as? String == "n1")
    #expect(object["area"] == nil && object["time"] as? String == "2026-11-24T04:43:15.123Z")
  }

  @Test("under the journal a line begins with its priority", arguments: LogStyle.allCases)
  func journal(_ style: LogStyle) {
    #expect(line(style, "x", isJournal: true).hasPrefix(style == .json ? "<4>{" : "<4>time="))
  }

  @Test("a change of level holds for all copies of a logger")
  func level() {
    var lines: [String] = []
    let logger = Logger(level: .warning) { level, area, text in
      lines.append("\(level) \(area) \(text)")
    }
    let peer = logger.with(area: "peer")
    peer.info("one")
    logger.control.level = .debug
    peer.debug("two")
    #expect(lines == ["debug peer two"])
  }
}
