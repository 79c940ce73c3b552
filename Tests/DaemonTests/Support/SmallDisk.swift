import Glibc

/// A disk that a test can fill: a tmpfs. Its sandbox unmounts it, whatever happens.
struct SmallDisk {
  let path: String
  private var filler: String { "\(path)/filler" }

  /// Mounting is for root, and not for every container's.
  static let isPermitted: Bool = {
    var template = Array("/tmp/raftkvd-mount-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { return false }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { rmdir(path) }
    guard (try? SmallDisk(mountedAt: path, mebibytes: 1)) != nil else { return false }
    unmount(path)
    return true
  }()

  init(mountedAt path: String, mebibytes: Int) throws {
    self.path = path
    mkdir(path, 0o700)
    guard mount("raftkvd-test", path, "tmpfs", 0, "size=\(mebibytes)m,mode=0700") == 0 else {
      throw ClientError.system("mount", errno)
    }
  }

  /// Lazily: what still has a file open there does not keep it in the way.
  static func unmount(_ path: String) { umount2(path, Int32(bitPattern: 2)) }

  var freeBytes: Int {
    var info = statvfs()
    return statvfs(path, &info) == 0 ? Int(info.f_bavail) * Int(info.f_frsize) : 0
  }

  /// Takes all space that is free now, but for these bytes.
  func fill(leaving rest: Int = 1 << 20) throws {
    let descriptor = open(filler, O_WRONLY | O_CREAT, 0o600)
    guard descriptor >= 0 else { throw ClientError.system("open \(filler)", errno) }
    defer { close(descriptor) }
    let status = posix_fallocate(descriptor, 0, max(freeBytes - rest, 4096))
    guard status == 0 else { throw ClientError.system("posix_fallocate \(filler)", status) }
  }

  /// Gives back what `fill` took.
  func empty() { unlink(filler) }
}

extension Node {
  /// Waits until the spare segment and the ballast are there: from then on the space that a node
  /// takes does not change by itself.
  func awaitPreparation() throws {
    try eventually("\(name) has a spare segment and the ballast") {
      let names = Files.list(directory)
      return names.contains("ballast") && segments.count >= 2
        && !names.contains { $0.hasSuffix(".tmp") }
    }
  }
}
