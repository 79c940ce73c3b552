/// SIGHUP: the configuration file is read again, and what can change while the node runs does.
extension Server {
  func reload() {
    reports.isReloading()
    readFileAgain()
    reports.hasReloaded()
  }

  private func readFileAgain() {
    guard let file = sources.file else {
      return logger.info("SIGHUP: there is no configuration file (-config) to read again")
    }
    let new: ServerConfiguration
    do throws(ServerConfiguration.Invalid) {
      new = try sources.configuration(version: configuration.version)
    } catch {
      // All or nothing: half a configuration is one that nobody has written.
      for problem in error.problems { logger.error("\(problem)") }
      return logger.error("\(file) was not applied: the settings in force stay")
    }
    var changes = 0
    for setting in Setting.allCases {
      let (old, wanted) = (inForce[setting]?.text, new.source[setting]?.text)
      guard old != wanted else { continue }
      changes += 1
      let wantedText = wanted.map { "'\($0)'" } ?? "not set"
      if setting.canReload {
        logger.info("\(setting.name) is now \(wantedText)")
      } else {
        let oldText = old.map { "'\($0)'" } ?? "not set"
        logger.warning("\(setting.name) \(wantedText) needs a restart: \(oldText) stays in force")
      }
    }
    apply(new)
    logger.info(
      "\(file) was read again: \(changes == 0 ? "nothing" : "\(changes) settings") changed")
  }

  private func apply(_ new: ServerConfiguration) {
    configuration.takeReloadable(from: new)
    inForce.takeReloadable(from: new.source)
    logger.control.level = configuration.logLevel
    output.style = configuration.logStyle
    http.setAccessLog(accessLog)
    replica.setLimits(
      snapshotEntries: configuration.snapshotEntries, snapshotBytes: configuration.snapshotBytes)
    http.setLimits(
      HTTPLimits(maximumValue: configuration.maximumValueSize),
      maximumConnections: connectionLimit(configuration))
  }

  var accessLog: AccessLog? {
    configuration.accessLog ? AccessLog(output: output, clock: { EventLoop.now }) : nil
  }

  /// Descriptors that are not clients: log, snapshots, peers, the loop's own.
  private static var reservedDescriptors: Int { 256 }

  /// What is asked for, as far as the system allows it. Some always get in, to look what is wrong.
  func connectionLimit(_ configuration: ServerConfiguration) -> Int {
    max(min(configuration.maximumConnections, descriptors - Self.reservedDescriptors), 16)
  }
}

extension ServerConfiguration {
  /// The counterpart of `Setting.canReload`.
  mutating func takeReloadable(from new: ServerConfiguration) {
    snapshotEntries = new.snapshotEntries
    snapshotBytes = new.snapshotBytes
    maximumValueSize = new.maximumValueSize
    maximumConnections = new.maximumConnections
    logLevel = new.logLevel
    logStyle = new.logStyle
    accessLog = new.accessLog
  }
}

extension Settings {
  /// Those settings of `new` that are in force from now on.
  mutating func takeReloadable(from new: Settings) {
    for setting in Setting.allCases where setting.canReload { self[setting] = new[setting] }
  }
}
