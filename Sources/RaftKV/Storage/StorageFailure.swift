/// Storage cannot keep its promise any longer: the process must end. It is reported once; nothing
/// is acknowledged afterwards. The line is what the operator reads.
package struct StorageFailure: Error, Equatable, Sendable, CustomStringConvertible {
  package var description: String
  /// What was read back is not what was written, and a restart would only meet it again.
  package var isCorruption: Bool

  init(_ description: String, isCorruption: Bool = false) {
    self.description = description
    self.isCorruption = isCorruption
  }

  init(_ error: DiskError) { self.init("\(error)") }
}
