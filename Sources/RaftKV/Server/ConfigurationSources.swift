/// Where settings come from. Flags and environment are those of the start; the file may be read
/// again.
package struct ConfigurationSources: Sendable {
  private let flags: [Setting: String]
  private let environment: [String: String]
  /// `-config`, else `RAFTKVD_CONFIG`.
  package let file: String?

  package init(flags: [Setting: String], environment: [String: String], file: String?) {
    self.flags = flags
    self.environment = environment
    let variable = environment[Setting.fileVariable].flatMap { $0.isEmpty ? nil : $0 }
    self.file = file ?? variable
  }

  /// All settings, from the file as it is now.
  package func read() throws(Settings.Problem) -> Settings {
    var contents: (path: String, bytes: [UInt8])?
    if let file {
      do throws(TextFile.Unreadable) {
        contents = (file, try TextFile.read(file))
      } catch {
        throw Settings.Problem("the configuration file \(file) cannot be read: \(error.reason)")
      }
    }
    return Settings(flags: flags, environment: environment, file: contents)
  }

  package func configuration(
    version: String
  ) throws(ServerConfiguration.Invalid) -> ServerConfiguration {
    let settings: Settings
    do throws(Settings.Problem) { settings = try read() } catch {
      throw ServerConfiguration.Invalid(problems: [error])
    }
    return try ServerConfiguration(settings, version: version)
  }
}
