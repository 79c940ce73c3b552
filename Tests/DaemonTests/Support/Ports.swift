import Glibc
import Synchronization

/// Ports of 127.0.0.1 for the nodes of the tests.
enum Ports {
  /// Below the kernel's range for outgoing connections: no client may take
  /// one while its node is down.
  private static let range: ClosedRange<UInt16> = 20_000...32_000

  /// Whoever was given one may not have bound it yet, or may be down and want it again.
  private static let given = Mutex<Set<UInt16>>([])

  /// A port where nobody listens, and that was not given before; other processes may look for one
  /// at the same time, so it is a random one.
  static func free() throws -> UInt16 {
    for _ in 0..<10_000 {
      let port = UInt16.random(in: range)
      let isNew = given.withLock { $0.insert(port).inserted }
      if isNew, isFree(port) { return port }
    }
    throw ClientError.timedOut("a free port")
  }

  private static func isFree(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    return withUnsafePointer(to: &address) {
      bind(
        descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self),
        socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}
