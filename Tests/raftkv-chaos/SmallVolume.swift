import Foundation
import Glibc

/// A file system in memory that can be filled. Needs root; without, there is none.
final class SmallVolume {
  /// Two segments of 64 MiB, the ballast, snapshots, and what the kept tail of the log takes.
  private static let size = 448 << 20

  let path: String
  private var isMounted = true

  init?(at path: String) {
    self.path = path
    guard geteuid() == 0 else { return nil }
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let options = "size=\(Self.size),mode=0700"
    guard mount("tmpfs", path, "tmpfs", 0, options) == 0 else { return nil }
  }

  private var filler: String { "\(path)/filler" }

  /// Takes all space but `rest` bytes.
  func fill(leaving rest: Int) {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return }
    let free = Int(status.f_bavail) * Int(status.f_frsize)
    guard free > rest else { return }
    let descriptor = open(filler, O_WRONLY | O_CREAT, 0o600)
    guard descriptor >= 0 else { return }
    posix_fallocate(descriptor, 0, free - rest)
    close(descriptor)
  }

  func release() { unlink(filler) }

  func unmount() {
    guard isMounted else { return }
    isMounted = umount2(path, Int32(MNT_DETACH)) != 0
  }
}
