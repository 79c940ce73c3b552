/// Why a node ends by itself, with the exit code that the README documents.
package struct FatalError: Error, Equatable, Sendable {
  package var message: String
  package var exitCode: ExitCode
  package init(_ message: String, _ exitCode: ExitCode) {
    self.message = message
    self.exitCode = exitCode
  }
}

/// Exit codes, each with one meaning, so that a supervisor can tell "try again" from "look at it".
package enum ExitCode: Int32, Sendable, CaseIterable {
  case success = 0
  /// Anything that has no code of its own.
  case failure = 1
  /// A flag is wrong (EX_USAGE of sysexits.h).
  case usage = 64
  /// An address cannot be bound.
  case addressInUse = 69
  /// Another process has the data directory.
  case locked = 70
  /// The data directory is not this node's.
  case foreignData = 71
  /// The data directory was written by a newer version.
  case newerFormat = 72
  /// Acknowledged data is damaged: remove the node, empty the directory, join again.
  case corruptData = 73
  /// Reading or writing the disk failed (EX_IOERR).
  case diskFailure = 74
  /// The state of this node differs from the majority's.
  case diverged = 75
  /// This name belongs to a member whose data is gone: the disk was wiped.
  case wipedDisk = 76
  /// An entry in the log is of a kind this version does not know.
  case unknownCommand = 77
}
