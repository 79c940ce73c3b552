import CLibUV

/// One TCP connection: bytes come by `didRead` and go by `write`.
///
/// A calm day: a listener or dialer hands over an open stream; its owner wires the closures at
/// once; reading begins when the owner's callback returns, unless it paused. `write` gives the
/// bytes to the kernel then and there; what the kernel does not take is copied to `filling`, and
/// while one uv_write of `sending` is under way, further bytes gather in `filling`.
///
/// ```
///   write ──uv_try_write──▶ kernel                      nothing buffered
///   write ──copy──▶ filling ──swap──▶ sending ──uv_write──▶ kernel      else
/// ```
///
/// Days that are not: the peer ends its half (`didEnd`; we may still write), a read or a write
/// fails (we close with that error), the owner closes. All of them end in one `didClose`, after
/// which nothing is called any more and the closures are released; so does a stream of which both
/// halves have ended. Nothing calls back from inside `write` or `close`.
package final class Stream: Handle {
  /// Bytes that arrived, in the loop's shared buffer: valid during the call.
  package var didRead: ((UnsafeRawBufferPointer) -> Void)!
  /// The peer will send no more; what we write still reaches it.
  package var didEnd: (() -> Void)!
  /// The last call, exactly once; the error is nil when our own `close` was the reason.
  package var didClose: ((LoopError?) -> Void)!
  /// The unsent bytes went from some to none.
  package var didDrain: (() -> Void)?
  /// Memory that each of the two write buffers keeps once it is empty. Small by
  /// default, because there may be thousands of clients; a peer's connection, written
  /// in large batches, sets it higher.
  package var keptCapacity = 16 << 10

  /// How often one turn fills the loop's buffer from one connection, 256 KiB in all:
  /// parsed in a fraction of a millisecond. libuv alone would go on up to 2 MiB while
  /// heartbeats wait their turn.
  private static let readsPerTurn = 4

  package private(set) var remote: SocketAddress?
  package private(set) var hasEnded = false
  let tcp: UnsafeMutablePointer<uv_tcp_t>
  private let writeRequest: UnsafeMutablePointer<uv_write_t>
  private let shutdownRequest: UnsafeMutablePointer<uv_shutdown_t>
  /// A uv_write is under way.
  private var isSending = false
  /// Lent to libuv, unmodified until `didWrite`. Invariant: empty unless a uv_write is under way.
  private var sending = ByteBuffer(capacity: 16)
  /// Invariant: empty unless a uv_write is under way.
  private var filling = ByteBuffer(capacity: 16)
  private var isPaused = false
  private var isReading = false
  private var readsThisTurn = 0
  private var lastTurn: UInt64 = 0
  /// Whether our half is to end, and whether it has.
  private var wantsShutdown = false
  private var isShutDown = false
  private var closeReason: LoopError?

  init(_ loop: EventLoop) {
    tcp = .allocate(capacity: 1)
    writeRequest = .allocate(capacity: 1)
    shutdownRequest = .allocate(capacity: 1)
    super.init(loop: loop, memory: tcp)
    uv_tcp_init(loop.raw, tcp)
    register()
  }

  deinit {
    writeRequest.deallocate()
    shutdownRequest.deallocate()
  }

  /// The peer's numeric address and port, for people.
  package var remoteAddress: String { remote?.description ?? "unknown address" }

  // MARK: Opening, for Listener and Dialer

  var streamHandle: UnsafeMutablePointer<uv_stream_t> {
    UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_stream_t.self)
  }

  /// The connection stands.
  func didConnect() {
    remote = SocketAddress { uv_tcp_getpeername(tcp, $0, $1) }
    // Every write of ours is a whole batch already; waiting for more to come would only delay it.
    // Fails only on a connection that is reset by now, which the first read will say.
    uv_tcp_nodelay(tcp, 1)
  }

  /// TCP lets a socket connect to itself when it dials a port of the ephemeral range that
  /// nobody listens on, and is given just that port as its own. It would keep the rightful
  /// owner from ever binding it.
  var isConnectedToItself: Bool {
    remote != nil && remote == SocketAddress { uv_tcp_getsockname(tcp, $0, $1) }
  }

  /// The owner has wired its closures, or closed.
  func begin() {
    guard isOpen else { return }
    precondition(
      didRead != nil && didEnd != nil && didClose != nil, "a stream's owner wires its closures")
    if !isPaused { startReading() }
  }

  /// Has the kernel probe a silent peer after `delay` seconds, to find half-open connections.
  package func keepAlive(afterSeconds delay: Int) {
    guard isOpen else { return }
    uv_tcp_keepalive(tcp, 1, UInt32(delay))
  }

  // MARK: Reading

  /// Stops `didRead` from the next call on; the kernel's buffer then slows the peer down. While
  /// paused, the peer's end is not noticed either.
  package func pauseReading() {
    isPaused = true
    stopReading()
  }

  package func resumeReading() {
    guard isPaused else { return }
    isPaused = false
    startReading()
  }

  private func startReading() {
    guard isOpen, !hasEnded, !isReading else { return }
    isReading = true
    let status = uv_read_start(streamHandle, willReadBytes, didReadBytes)
    if status < 0 { fail(LoopError(code: status)) }
  }

  private func stopReading() {
    guard isOpen, isReading else { return }
    isReading = false
    uv_read_stop(streamHandle)
  }

  override func resume() {
    if !isPaused { startReading() }
  }

  fileprivate func received(_ count: Int) {
    guard isOpen else { return }
    if count > 0 {
      takeShare()
      didRead(UnsafeRawBufferPointer(start: loop.readBuffer.baseAddress, count: count))
    } else if count == Int(UV_EOF.rawValue) {
      hasEnded = true
      pauseReading()
      didEnd()
      closeIfBothEnded()
    } else if count < 0 {
      fail(LoopError(code: Int32(count)))
    }
    // Zero is libuv's word for "nothing there after all".
  }

  private func takeShare() {
    if lastTurn != loop.turn {
      lastTurn = loop.turn
      readsThisTurn = 0
    }
    readsThisTurn += 1
    guard readsThisTurn == Self.readsPerTurn else { return }
    stopReading()
    loop.resumeLater(self)
  }

  // MARK: Writing

  /// The bytes written that the kernel has not taken yet: what back-pressure is measured by.
  package var unsentBytes: Int {
    isOpen && isSending ? uv_stream_get_write_queue_size(streamHandle) + filling.count : 0
  }

  /// Sends bytes, in the order of calls. On a closing stream it does nothing; a failure closes the
  /// stream, and `didClose` says so later.
  package func write(_ bytes: UnsafeRawBufferPointer) {
    guard isOpen, bytes.count > 0 else { return }
    precondition(!wantsShutdown, "nothing is written after the shutdown of writing")
    if isSending { return filling.append(bytes) }
    var piece = uv_buf_t(bytes)
    let sent = Int(uv_try_write(streamHandle, &piece, 1))
    if sent == bytes.count { return }
    if sent < 0 && sent != Int(UV_EAGAIN.rawValue) { return fail(LoopError(code: Int32(sent))) }
    sending.append(UnsafeRawBufferPointer(rebasing: bytes[max(sent, 0)...]))
    startWrite()
  }

  private func startWrite() {
    isSending = true
    var piece = uv_buf_t(sending.readable)
    let status = uv_write(writeRequest, streamHandle, &piece, 1, didWriteBytes)
    // libuv's only synchronous refusal here is a stream that is not connected.
    if status < 0 { fail(LoopError(code: status)) }
  }

  fileprivate func didWrite(_ status: Int32) {
    isSending = false
    sending.clear(keeping: keptCapacity)
    guard isOpen else { return }
    if status < 0 { return fail(LoopError(code: status)) }
    if filling.isEmpty {
      if wantsShutdown { startShutdown() }
      didDrain?()
    } else {
      swap(&sending, &filling)
      startWrite()
    }
  }

  /// Ends our half once everything written has been sent; the peer sees the end of the stream.
  package func shutdownWrite() {
    guard isOpen, !wantsShutdown else { return }
    wantsShutdown = true
    if !isSending { startShutdown() }
  }

  private func startShutdown() {
    let status = uv_shutdown(shutdownRequest, streamHandle, didShutdownStream)
    if status < 0 { fail(LoopError(code: status)) }
  }

  fileprivate func shutDown(_ status: Int32) {
    guard isOpen else { return }
    if status < 0 { return fail(LoopError(code: status)) }
    isShutDown = true
    closeIfBothEnded()
  }

  private func closeIfBothEnded() {
    if hasEnded && isShutDown { close() }
  }

  // MARK: Closing

  /// Closes for a reason that `didClose` will tell; unsent bytes are dropped.
  func fail(_ error: LoopError) {
    guard isOpen else { return }
    closeReason = error
    close()
  }

  override func didCloseHandle() {
    // Taken out first: the owner may drop its last reference, and must not be held by us.
    let tell = didClose
    didRead = nil
    didEnd = nil
    didClose = nil
    didDrain = nil
    tell?(closeReason)
  }
}

extension uv_buf_t {
  /// libuv's view of borrowed bytes; it only reads them when it writes.
  init(_ bytes: UnsafeRawBufferPointer) {
    let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    self.init(base: base?.assumingMemoryBound(to: CChar.self), len: bytes.count)
  }
}

private func willReadBytes(
  _ handle: UnsafeMutablePointer<uv_handle_t>?, _: Int, _ buffer: UnsafeMutablePointer<uv_buf_t>?
) {
  let shared = Stream.owner(handle!.pointee.data).loop.readBuffer
  buffer!.pointee = uv_buf_t(UnsafeRawBufferPointer(shared))
}

private func didReadBytes(
  _ handle: UnsafeMutablePointer<uv_stream_t>?, _ count: Int, _: UnsafePointer<uv_buf_t>?
) {
  Stream.owner(handle!.pointee.data).received(count)
}

private func didWriteBytes(_ request: UnsafeMutablePointer<uv_write_t>?, _ status: Int32) {
  Stream.owner(request!.pointee.handle.pointee.data).didWrite(status)
}

private func didShutdownStream(_ request: UnsafeMutablePointer<uv_shutdown_t>?, _ status: Int32) {
  Stream.owner(request!.pointee.handle.pointee.data).shutDown(status)
}
