import CLibUV
import Glibc

/// Accepts connections at one address.
package final class Listener: Handle {
  /// A new connection, open. The owner wires its closures before returning; then reading begins.
  package var didAccept: (Stream) -> Void = { $0.close() }

  /// Of a burst of new clients at most this many are taken per turn, so that peers and clients
  /// already here are served in between. The others wait in the kernel's queue.
  private static let acceptsPerTurn = 64

  package private(set) var boundPort: UInt16 = 0
  private let tcp: UnsafeMutablePointer<uv_tcp_t>
  private var acceptsThisTurn = 0
  private var lastTurn: UInt64 = 0
  /// Given up to accept, and so be able to refuse, a connection when the process has no
  /// descriptor left. Without it the connection would stay pending and the loop spin. libuv
  /// does the same where it can.
  private var reserve: Int32

  /// Listens, or throws `addressInUse` and the like. The IPv6 wildcard takes IPv4 connections too.
  package init(_ loop: EventLoop, at address: SocketAddress, backlog: Int = 1024) throws(LoopError)
  {
    tcp = .allocate(capacity: 1)
    reserve = Self.openReserve()
    super.init(loop: loop, memory: tcp)
    uv_tcp_init(loop.raw, tcp)
    register()
    // libuv keeps EADDRINUSE of bind(2) to itself until uv_listen.
    var status = address.withPointer { uv_tcp_bind(tcp, $0, 0) }
    if status == 0 { status = uv_listen(stream, Int32(backlog), didReceiveConnection) }
    guard status == 0, let bound = SocketAddress({ uv_tcp_getsockname(tcp, $0, $1) }) else {
      close()
      throw LoopError(code: status)
    }
    boundPort = bound.port
  }

  deinit { if reserve >= 0 { Glibc.close(reserve) } }

  private var stream: UnsafeMutablePointer<uv_stream_t> {
    UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_stream_t.self)
  }

  fileprivate func offered(_ status: Int32) {
    guard isOpen else { return }
    if status == UV_EMFILE.rawValue || status == UV_ENFILE.rawValue { return refuseOne() }
    // Anything else, like ECONNABORTED, concerns a connection that is gone already.
    guard status == 0 else { return }
    if lastTurn != loop.turn {
      lastTurn = loop.turn
      acceptsThisTurn = 0
    }
    acceptsThisTurn += 1
    // A connection that is not accepted now makes libuv stop listening until it is.
    if acceptsThisTurn > Self.acceptsPerTurn { return loop.resumeLater(self) }
    accept()
  }

  /// Takes the connection that libuv is holding.
  override func resume() {
    guard isOpen else { return }
    accept()
  }

  private func accept() {
    let connection = Stream(loop)
    let status = uv_accept(stream, connection.streamHandle)
    guard status == 0 else { return connection.close() }
    connection.didConnect()
    didAccept(connection)
    connection.begin()
  }

  private func refuseOne() {
    guard reserve >= 0 else { return }
    Glibc.close(reserve)
    var listening: Int32 = -1
    let handle = UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_handle_t.self)
    if uv_fileno(handle, &listening) == 0 {
      let connection = Glibc.accept(listening, nil, nil)
      if connection >= 0 { Glibc.close(connection) }
    }
    reserve = Self.openReserve()
  }

  private static func openReserve() -> Int32 { open("/dev/null", O_RDONLY | O_CLOEXEC) }

  override func didCloseHandle() { didAccept = { $0.close() } }
}

private func didReceiveConnection(_ server: UnsafeMutablePointer<uv_stream_t>?, _ status: Int32) {
  Listener.owner(server!.pointee.data).offered(status)
}
