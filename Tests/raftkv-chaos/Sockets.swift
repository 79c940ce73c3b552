import Glibc
import Synchronization

/// TCP on 127.0.0.1, never blocking.
enum Sockets {
  /// Below the kernel's range for outgoing connections: no client may take one while its node is
  /// down.
  private static let range: ClosedRange<UInt16> = 20_000...32_000

  /// Held from `accept` until the connection is marked, and while a process is started: a
  /// connection that a child inherited would outlive both its ends.
  static let inheriting = Mutex(())

  /// The newest ports that were given: their nodes may not have bound them yet, or may be down and
  /// want them again. Half the range: no cluster lives for so long.
  private static let given = Mutex<Set<UInt16>>([])

  /// A port where nobody listens now, and that no node was given.
  static func freePort() -> UInt16 {
    while true {
      let port = UInt16.random(in: range)
      let isNew = given.withLock { given in
        if given.count > range.count / 2 { given.removeAll() }
        return given.insert(port).inserted
      }
      if isNew, let descriptor = listen(at: port) {
        close(descriptor)
        return port
      }
    }
  }

  /// Nil where somebody else has the port.
  static func listen(at port: UInt16) -> Int32? {
    let descriptor = make()
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    let status = withAddress(port) { bind(descriptor, $0, $1) }
    guard status == 0, Glibc.listen(descriptor, 64) == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// A connection that may still be on its way; nil where it was refused at once.
  static func connect(to port: UInt16) -> Int32? {
    let descriptor = make()
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    let status = withAddress(port) { Glibc.connect(descriptor, $0, $1) }
    guard status == 0 || errno == EINPROGRESS else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  static func accept(_ listener: Int32) -> Int32? {
    let descriptor = inheriting.withLock { _ in
      let descriptor = Glibc.accept(listener, nil, nil)
      if descriptor >= 0 { prepare(descriptor) }
      return descriptor
    }
    guard descriptor >= 0 else { return nil }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    return descriptor
  }

  /// Never blocks, and is not inherited.
  static func prepare(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  }

  /// Closes with a reset instead of a goodbye.
  static func reset(_ descriptor: Int32) {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close(descriptor)
  }

  /// Waits until `descriptor` is ready for `event`; false once `deadline` has passed.
  static func wait(_ descriptor: Int32, for event: Int32, until deadline: UInt64) -> Bool {
    while true {
      let now = Clock.now
      guard now < deadline else { return false }
      var item = pollfd(fd: descriptor, events: Int16(event), revents: 0)
      let timeout = Int32((deadline - now) / Clock.millisecond) + 1
      if poll(&item, 1, timeout) > 0 { return true }
    }
  }

  private static func make() -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(AF_INET, kind | Int32(SOCK_CLOEXEC.rawValue), 0)
    precondition(descriptor >= 0, "no socket: errno \(errno)")
    return descriptor
  }

  private static func withAddress(
    _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr = in_addr(s_addr: UInt32(0x7f00_0001).bigEndian)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
