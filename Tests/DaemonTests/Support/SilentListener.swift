import Glibc

/// Somebody who listens and never says a word; connections complete in the kernel.
final class SilentListener: Sendable {
  let address: String
  private let descriptor: Int32

  init() throws {
    let port = try Ports.free()
    address = "127.0.0.1:\(port)"
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = port.bigEndian
    inet_pton(AF_INET, "127.0.0.1", &place.sin_addr)
    let bound = withUnsafePointer(to: &place) {
      bind(
        descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self),
        socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    guard bound == 0, listen(descriptor, 64) == 0 else {
      throw ClientError.system("listen at \(address)", errno)
    }
  }

  deinit { close(descriptor) }

  func awaitConnection(within seconds: Double = 60) throws {
    try eventually("somebody dials \(address)", within: seconds) {
      var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      return poll(&item, 1, 0) > 0
    }
  }

  /// The next connection; the caller closes it.
  func accept(within seconds: Double = 60) throws -> Int32 {
    try awaitConnection(within: seconds)
    let connection = Glibc.accept(descriptor, nil, nil)
    guard connection >= 0 else { throw ClientError.system("accept", errno) }
    return connection
  }
}
