import CLibUV

/// One attempt to connect. How long to wait is the caller's business: a
/// timer of its own and `cancel`.
package final class Dialer {
  private let stream: Stream
  private let request: UnsafeMutablePointer<uv_connect_t>
  private var completion: ((Result<Stream, LoopError>) -> Void)?

  /// Begins to connect. `completion` is called once and never before this returns, except after
  /// `cancel`: then not at all. It wires the stream's closures before it returns.
  package static func connect(
    _ loop: EventLoop, to address: SocketAddress,
    completion: @escaping (Result<Stream, LoopError>) -> Void
  ) -> Dialer {
    let dialer = Dialer(loop, completion)
    dialer.start(address)
    return dialer
  }

  private init(_ loop: EventLoop, _ completion: @escaping (Result<Stream, LoopError>) -> Void) {
    stream = Stream(loop)
    request = .allocate(capacity: 1)
    self.completion = completion
  }

  deinit { request.deallocate() }

  /// Gives the attempt up; does nothing once it has ended.
  package func cancel() {
    guard completion != nil else { return }
    completion = nil
    stream.close()
  }

  private func start(_ address: SocketAddress) {
    // Failure is told from the close callback, whether it is found now or later.
    stream.didClose = { [self] error in
      guard let error, let completion else { return }
      self.completion = nil
      completion(.failure(error))
    }
    request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    let status = address.withPointer {
      uv_tcp_connect(request, stream.tcp, $0, didConnectStream)
    }
    guard status < 0 else { return }
    Unmanaged<Dialer>.fromOpaque(request.pointee.data).release()
    stream.fail(LoopError(code: status))
  }

  fileprivate func didConnect(_ status: Int32) {
    guard stream.isOpen else { return }
    if status < 0 { return stream.fail(LoopError(code: status)) }
    stream.didConnect()
    if stream.isConnectedToItself { return stream.fail(.connectionRefused) }
    stream.didClose = nil
    guard let completion else { preconditionFailure("an attempt is completed once") }
    self.completion = nil
    completion(.success(stream))
    stream.begin()
  }
}

private func didConnectStream(_ request: UnsafeMutablePointer<uv_connect_t>?, _ status: Int32) {
  EventLoop.owner(request!.pointee.handle.pointee.loop).didWake()
  let dialer = Unmanaged<Dialer>.fromOpaque(request!.pointee.data).takeRetainedValue()
  dialer.didConnect(status)
}
