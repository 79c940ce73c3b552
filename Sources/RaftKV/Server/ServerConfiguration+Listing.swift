/// What `config check` prints.
extension ServerConfiguration {
  /// Every setting with its effective value and where that comes from. The lines are themselves a
  /// configuration file.
  package var listing: [String] {
    Setting.allCases.map { setting in
      guard let value = source[setting] else {
        guard let derived = derived(setting) else { return "# \(setting.name) is not set" }
        return Self.line("\(setting.name) = \(derived.text)", derived.source)
      }
      // It cannot stand in a file.
      if setting == .bootstrap {
        return Self.line("# \(setting.name) = \(value.text)", "\(value.source)")
      }
      return Self.line("\(setting.name) = \(value.text)", "\(value.source)")
    }
  }

  /// What is not given and follows from something else.
  private func derived(_ setting: Setting) -> (text: String, source: String)? {
    switch setting {
    case .advertiseRaddr: ("\(advertisedRaftAddress)", "as \(Setting.raddr.name)")
    case .advertiseHaddr: ("\(advertisedHTTPAddress)", "as \(Setting.haddr.name)")
    case .data: (dataDirectory, "default")
    default: nil
    }
  }

  private static func line(_ text: String, _ source: String) -> String {
    text + String(repeating: " ", count: max(1, 40 - text.utf8.count)) + "# \(source)"
  }
}
