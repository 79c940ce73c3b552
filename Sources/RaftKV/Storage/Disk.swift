/// The seam between storage and the world: one data directory, flat, files by name.
///
/// Production is `UVDisk` (Loop/), the simulator's is `SimulatedDisk`. Two halves:
/// - blocking calls, for start and recovery, when no peer and no client waits for us yet;
/// - submissions, whose completion is an event on the loop's thread, never before `submit`
///   returned. Buffers handed to `write` and `read` stay valid and unmodified until the completion.
///   Completions of different files may come in any order. A short count is not an error here:
///   callers submit the rest.
package protocol Disk: AnyObject {
  // MARK: Blocking, at start only

  func list() throws(DiskError) -> [String]
  func open(_ name: String, _ mode: OpenMode) throws(DiskError) -> FileID
  func size(_ file: FileID) throws(DiskError) -> Int
  /// Reads up to the buffer's size at `offset`; fewer bytes only at the end of the file.
  func read(_ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer)
    throws(DiskError) -> Int
  /// Writes all of it, or throws.
  func write(_ file: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer) throws(DiskError)
  func truncate(_ file: FileID, to size: Int) throws(DiskError)
  func sync(_ file: FileID) throws(DiskError)
  func rename(_ source: String, to target: String) throws(DiskError)
  func remove(_ name: String) throws(DiskError)
  func syncDirectory() throws(DiskError)
  /// Closing never fails for us: whatever had to be durable was synced before.
  func close(_ file: FileID)

  // MARK: Submitted

  func submit(_ operation: DiskOperation, _ completion: @escaping (DiskResult) -> Void)
}

package typealias DiskResult = Result<Int, DiskError>

/// What can be submitted. The result's integer is the count of bytes for reads and writes, the file
/// for `open`, the free bytes for `freeSpace`, and 0 otherwise.
package enum DiskOperation {
  case open(String, OpenMode)
  /// One positioned gather write. On a `.durable` file the completion means it is on stable
  /// storage.
  case write(FileID, at: Int, [UnsafeRawBufferPointer])
  case read(FileID, at: Int, UnsafeMutableRawBufferPointer)
  case sync(FileID)
  case truncate(FileID, to: Int)
  /// Room for the file's first bytes, which read as zeros until they are written. Not every file
  /// system can do it, nor lets every sandbox.
  case allocate(FileID, Int)
  case rename(String, to: String)
  case remove(String)
  case syncDirectory
  /// Bytes that an unprivileged process could still write on this file system.
  case freeSpace
}

package struct FileID: Hashable, Sendable {
  package var rawValue: Int32
  package init(_ rawValue: Int32) { self.rawValue = rawValue }
}

package enum OpenMode: Sendable {
  case read
  /// Read and write an existing file; each completed write is on stable storage (O_DSYNC).
  case durable
  /// Create, failing if it exists; read and write, durable only through `sync`.
  case create
}

package struct DiskError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What was attempted, for the one line the operator reads: `write log-0000000000000003`.
  package var operation: String
  /// The errno value, positive.
  package var code: Int32
  package init(operation: String, code: Int32) {
    self.operation = operation
    self.code = code
  }

  package static let noSpace: Int32 = 28  // ENOSPC
  package var isNoSpace: Bool { code == Self.noSpace || code == 122 }  // EDQUOT
  package var isNoDescriptor: Bool { code == 23 || code == 24 }  // ENFILE, EMFILE
  package var isInputOutput: Bool { code == 5 }  // EIO
  package var isNotFound: Bool { code == 2 }  // ENOENT
  package var description: String { "\(operation) failed with errno \(code)" }
}
