import Glibc

/// A small file that people write, read whole.
package enum TextFile {
  package struct Unreadable: Error, Equatable {
    package var reason: String
  }

  /// Far more than any configuration; a device or a log given by mistake ends here.
  private static let maximumSize = 1 << 20

  package static func read(_ path: String) throws(Unreadable) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw Unreadable(reason: String(cString: strerror(errno))) }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
      guard bytes.count <= maximumSize else { throw Unreadable(reason: "it is larger than 1 MiB") }
    }
  }
}
