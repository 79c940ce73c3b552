/// From the text of settings to their values; what cannot be read is collected, not thrown, so that
/// an operator sees everything that is wrong at once.
struct SettingReader {
  let settings: Settings
  private(set) var problems: [Settings.Problem]

  init(_ settings: Settings) {
    self.settings = settings
    problems = settings.problems
  }

  mutating func complain(_ setting: Setting, _ reason: String) {
    problems.append(Settings.Problem("\(settings.label(setting)) \(reason)"))
  }

  /// What depends on several settings, and so has no one place.
  mutating func complain(_ sentence: String) { problems.append(Settings.Problem(sentence)) }

  /// The value, or `substitute` where it is missing or was complained about.
  mutating func read<Value>(
    _ setting: Setting, or substitute: Value, _ expected: String, _ parse: (String) -> Value?
  ) -> Value {
    guard let text = settings[setting]?.text else { return substitute }
    if let value = parse(text) { return value }
    complain(setting, "'\(text)' \(expected)")
    return substitute
  }

  mutating func readDuration(_ setting: Setting) -> Interval {
    read(setting, or: .zero, "is not a duration: write 50ms, 2s or 1m", Self.duration)
  }

  mutating func readSize(_ setting: Setting) -> Int {
    read(
      setting, or: 0, "is not a size: write 1048576, 512KiB, 64MiB or 1GiB", Self.size)
  }

  mutating func readCount(_ setting: Setting) -> Int {
    read(setting, or: 0, "is not a whole number") { text in
      Int(text).flatMap { $0 >= 0 && text.utf8.allSatisfy(\.isDigit) ? $0 : nil }
    }
  }

  mutating func readAddress(_ setting: Setting) -> HostPort? {
    read(setting, or: nil, Self.addressAdvice) { Self.address($0) }
  }

  mutating func readAddresses(_ setting: Setting) -> [HostPort] {
    guard let text = settings[setting]?.text else { return [] }
    return text.split(separator: ",", omittingEmptySubsequences: false).compactMap { part in
      let part = String(part.drop { $0 == " " })
      if let address = Self.address(part) { return address }
      complain(setting, "'\(part)' \(Self.addressAdvice)")
      return nil
    }
  }

  private static let addressAdvice =
    "is not an address: write host:port, such as 10.0.0.1:8080, [::1]:8080 or :8080"

  private static func address(_ text: String) -> HostPort? {
    guard let address = HostPort(text), address.port != 0,
      text.utf8.count <= Configuration.maximumAddressLength
    else { return nil }
    return address
  }

  /// `50ms`, `2s`, `1m`; a day at the most.
  private static func duration(_ text: String) -> Interval? {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)]
    guard let (unit, milliseconds) = units.first(where: { text.hasSuffix($0.0) }),
      let count = Int(text.dropLast(unit.count)), (0...86_400_000 / milliseconds).contains(count)
    else { return nil }
    return .milliseconds(count * milliseconds)
  }

  /// `1048576`, `512KiB`, `64MiB`, `1GiB`; 2 EiB at the most, so that nothing overflows.
  private static func size(_ text: String) -> Int? {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)]
    guard let (unit, shift) = units.first(where: { text.hasSuffix($0.0) }),
      let number = Int(text.dropLast(unit.count)), (0...(Int.max >> 32)).contains(number)
    else { return nil }
    return number << shift
  }
}
