/// Why a data directory was not opened. Each kind has its own exit code; nothing was changed on
/// disk.
package enum RecoveryError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another process has the directory.
  case locked(String)
  /// Files of another node, or of something else altogether.
  case foreign(String)
  /// Written by a newer raftkvd.
  case newerFormat(String)
  /// Data that was acknowledged is damaged or gone. Going on without it could undo a vote or a
  /// commit, so we never do (trap G6).
  case corrupt(String)
  case io(DiskError)

  /// The one way back for a node whose own memory cannot be trusted: come again as a new one.
  package static let procedure = """
    the node must not vote with this data. Remove it from the cluster (POST /remove on the \
    leader), empty the data directory, start it again with -join
    """

  package var description: String {
    switch self {
    case .locked(let what): what
    case .foreign(let what): "\(what); give this node a data directory of its own"
    case .newerFormat(let what): "\(what); start a raftkvd at least as new as the one that wrote it"
    case .corrupt(let what): "the data directory is damaged: \(what). \(Self.procedure)"
    case .io(let error): "\(error)"
    }
  }
}

/// Runs disk calls under the error type of recovery.
func recovering<Value>(
  _ body: () throws(DiskError) -> Value
) throws(RecoveryError) -> Value {
  do throws(DiskError) { return try body() } catch { throw .io(error) }
}
