/// The text of every setting and where it comes from: a flag, else the environment, else the
/// configuration file, else the default.
package struct Settings: Equatable, Sendable {
  package enum Source: Equatable, Sendable {
    case flag
    case environment
    case file(String, line: Int)
    case `default`
  }

  package struct Value: Equatable, Sendable {
    package var text: String
    package var source: Source
  }

  /// One thing that is wrong, in a sentence that names the place.
  package struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
  }

  private var values: [Setting: Value] = [:]
  /// What is wrong with the form of file and environment.
  package private(set) var problems: [Problem] = []
  /// Variables that look like ours and are none.
  package private(set) var unknownVariables: [String] = []

  /// `file` is its path and contents; `environment` holds the variables that begin with `RAFTKVD_`.
  package init(
    flags: [Setting: String], environment: [String: String] = [:],
    file: (path: String, bytes: [UInt8])? = nil
  ) {
    for setting in Setting.allCases {
      if let text = setting.defaultText { values[setting] = Value(text: text, source: .default) }
    }
    if let file { take(ConfigurationFile(path: file.path, bytes: file.bytes)) }
    take(environment)
    for (setting, text) in flags { values[setting] = Value(text: text, source: .flag) }
  }

  private mutating func take(_ file: ConfigurationFile) {
    problems += file.problems
    for line in file.lines {
      values[line.setting] = Value(
        text: line.text, source: .file(file.path, line: line.number))
    }
  }

  /// An empty variable is one that is not set: environment files have no other way to say so.
  private mutating func take(_ environment: [String: String]) {
    for (name, text) in environment.sorted(by: { $0.key < $1.key }) where !text.isEmpty {
      guard name != Setting.fileVariable, name != Setting.flagsVariable else { continue }
      guard let setting = Setting.allCases.first(where: { $0.variable == name }) else {
        unknownVariables.append(name)
        continue
      }
      guard setting != .bootstrap else {
        problems.append(Problem("\(name) \(Self.bootstrapAdvice)"))
        continue
      }
      values[setting] = Value(text: text, source: .environment)
    }
  }

  /// A setting that stays behind would make a second cluster at the first start after a lost disk.
  static let bootstrapAdvice =
    "is for one start only: give -bootstrap on the command line, not where it stays behind"

  package internal(set) subscript(_ setting: Setting) -> Value? {
    get { values[setting] }
    set { values[setting] = newValue }
  }

  /// How to name a setting to whoever wrote it: `-id`, `RAFTKVD_ID` or `/etc/raftkvd.conf:3: id`.
  package func label(_ setting: Setting) -> String {
    switch values[setting]?.source {
    case .environment: setting.variable
    case .file(let path, let line): "\(path):\(line): \(setting.name)"
    case .flag, .default, nil: "-\(setting.name)"
    }
  }
}

extension Settings.Source: CustomStringConvertible {
  package var description: String {
    switch self {
    case .flag: "flag"
    case .environment: "environment"
    case .file(let path, let line): "\(path):\(line)"
    case .default: "default"
    }
  }
}
