import CLibUV
import DequeModule
import Glibc

/// The data directory on a real file system.
///
/// The blocking half is plain system calls (`UVDisk+Blocking.swift`). A submission becomes a
/// `DiskRequest` on libuv's thread pool; its completion is called on the loop's thread. Submissions
/// of one file are done one after another in the order submitted, because the pool itself promises
/// no order; those that name no open file are free to overtake each other.
package final class UVDisk: Disk {
  let loop: EventLoop
  let path: String
  /// The directory itself, to resolve names against and to sync.
  let directory: Int32
  /// What `f_bavail` counts in; libuv's statfs leaves it out, and it never changes while mounted.
  let fragmentSize: Int
  private var lockFile: DirectoryLock?
  private var files: [FileID: OpenFile] = [:]
  /// Called in the course of long blocking reads: a start that replays much is still alive.
  package var didRead: (() -> Void)?
  /// Numbers are not used again, so that an operation on a closed file is always noticed.
  private var lastFile: Int32 = 0

  /// Opens the directory at `path`, making it, and the directories above
  /// it, where they are missing.
  package init(_ loop: EventLoop, directory path: String) throws(DiskError) {
    self.loop = loop
    self.path = path
    directory = try Self.openOrMakeDirectory(path)
    fragmentSize = Self.fragmentSize(of: directory)
  }

  private static func fragmentSize(of directory: Int32) -> Int {
    var status = statvfs()
    // Fails for an open directory only where the device is gone, as every later call will say.
    guard fstatvfs(directory, &status) == 0 else { return 512 }
    // Some file systems leave the fragment size zero and mean the block size.
    return Int(status.f_frsize > 0 ? status.f_frsize : status.f_bsize)
  }

  deinit {
    // No request is under way, for each of them holds us.
    for file in files.values { Glibc.close(file.descriptor) }
    Glibc.close(directory)
  }

  /// Keeps every other process, and every other `UVDisk`, off this directory
  /// as long as this one lives.
  package func lock() throws(DirectoryLockError) {
    guard lockFile == nil else { return }
    lockFile = try DirectoryLock(directory, path)
  }

  // MARK: Open files

  func register(_ descriptor: Int32, _ name: String) -> FileID {
    lastFile += 1
    let id = FileID(lastFile)
    files[id] = OpenFile(name: name, descriptor: descriptor)
    return id
  }

  func file(_ id: FileID) -> OpenFile {
    guard let file = files[id] else { preconditionFailure("a closed file is not used") }
    return file
  }

  package func close(_ id: FileID) {
    let file = file(id)
    files[id] = nil
    file.isClosed = true
    closeIfDone(file)
  }

  private func closeIfDone(_ file: OpenFile) {
    guard file.isClosed, file.running == nil else { return }
    Glibc.close(file.descriptor)
  }

  // MARK: Submissions

  package func submit(_ operation: DiskOperation, _ completion: @escaping (DiskResult) -> Void) {
    #if FAILPOINTS
    let (operation, completion) = passing(operation, completion)
    #endif
    let request = DiskRequest(self, operation, completion)
    guard let file = request.file else { return request.start() }
    if file.running == nil {
      file.running = request
      request.start()
    } else {
      file.waiting.append(request)
    }
  }

  /// The next operation on the file goes to the pool before anybody looks
  /// at the result of this one.
  func didFinish(_ request: DiskRequest) {
    guard let file = request.file else { return }
    file.running = file.waiting.popFirst()
    file.running?.start()
    closeIfDone(file)
  }
}

/// A file between open and close, and what is submitted for it.
final class OpenFile {
  let name: String
  let descriptor: Int32
  /// Invariant: `waiting` is empty while nothing is running.
  var running: DiskRequest?
  var waiting = Deque<DiskRequest>()
  var isClosed = false

  init(name: String, descriptor: Int32) {
    self.name = name
    self.descriptor = descriptor
  }
}
