/// A configuration file: one `key = value` per line.
///
/// ```
///   # A comment, on a line of its own or behind white space after a value.
///   id = node1
///   join = 10.0.0.2:8079,10.0.0.3:8079   # Any members.
/// ```
/// Keys are the flags' names. White space around key and value does not count; there are no quotes.
struct ConfigurationFile {
  struct Line {
    var number: Int
    var setting: Setting
    var text: String
  }

  let path: String
  private(set) var lines: [Line] = []
  private(set) var problems: [Settings.Problem] = []

  init(path: String, bytes: [UInt8]) {
    self.path = path
    guard let text = String(validating: bytes, as: UTF8.self) else {
      problems = [Settings.Problem("\(path) is not UTF-8 text")]
      return
    }
    let all = text.utf8.split(separator: UInt8.lineFeed, omittingEmptySubsequences: false)
    for (offset, line) in all.enumerated() { take(line, number: offset + 1) }
  }

  private mutating func take(_ line: Substring.UTF8View, number: Int) {
    let content = Self.trimmed(Self.withoutComment(line))
    guard !content.isEmpty else { return }
    func problem(_ reason: String) -> Settings.Problem {
      Settings.Problem("\(path):\(number): \(reason)")
    }
    guard content.allSatisfy({ $0.isFieldValue }) else {
      return problems.append(problem("the line holds a control character"))
    }
    guard let equals = content.firstIndex(of: UInt8(ascii: "=")) else {
      return problems.append(problem("'\(Substring(content))' is not of the form `key = value`"))
    }
    let key = String(Substring(Self.trimmed(content[..<equals])))
    let value = String(Substring(Self.trimmed(content[content.index(after: equals)...])))
    guard let setting = Setting(rawValue: key) else {
      return problems.append(
        problem("there is no key '\(key)'; keys are the names of the flags, as in raftkvd -help"))
    }
    guard setting != .bootstrap else {
      return problems.append(problem("\(key) \(Settings.bootstrapAdvice)"))
    }
    if let earlier = lines.first(where: { $0.setting == setting }) {
      return problems.append(problem("\(key) stands on line \(earlier.number) already"))
    }
    guard !value.isEmpty else {
      return problems.append(problem("\(key) has no value; leave the line out for the default"))
    }
    lines.append(Line(number: number, setting: setting, text: value))
  }

  private static func withoutComment(_ line: Substring.UTF8View) -> Substring.UTF8View {
    var isAfterSpace = true
    for index in line.indices {
      if line[index] == UInt8(ascii: "#"), isAfterSpace { return line[..<index] }
      isAfterSpace = isBlank(line[index])
    }
    return line
  }

  private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
    var text = text
    while let first = text.first, isBlank(first) { text.removeFirst() }
    while let last = text.last, isBlank(last) { text.removeLast() }
    return text
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == .space || byte == .tab || byte == .carriageReturn
  }
}
