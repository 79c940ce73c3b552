import CLibUV
import Glibc

/// One question to the system's resolver, asked on libuv's pool.
package final class Resolver {
  private let request: UnsafeMutablePointer<uv_getaddrinfo_t>
  private let port: UInt16
  private var completion: ((Result<[SocketAddress], LoopError>) -> Void)?

  /// Resolves to one address at least, in the order to try them. Numeric hosts and the empty host
  /// (every interface) need no question: `completion` is called before this returns. Otherwise
  /// later and once, or not at all after `cancel`.
  @discardableResult
  package static func resolve(
    _ loop: EventLoop, _ target: HostPort,
    completion: @escaping (Result<[SocketAddress], LoopError>) -> Void
  ) -> Resolver? {
    if let addresses = numeric(target) {
      completion(.success(addresses))
      return nil
    }
    let resolver = Resolver(port: target.port, completion)
    resolver.start(loop, target.host)
    return resolver
  }

  /// The addresses that need no question, nil if `target` has a name.
  package static func numeric(_ target: HostPort) -> [SocketAddress]? {
    if target.host.isEmpty { return SocketAddress.wildcards(port: target.port) }
    return SocketAddress(numeric: target.host, port: target.port).map { [$0] }
  }

  private init(
    port: UInt16, _ completion: @escaping (Result<[SocketAddress], LoopError>) -> Void
  ) {
    request = .allocate(capacity: 1)
    self.port = port
    self.completion = completion
  }

  deinit { request.deallocate() }

  /// Drops the answer. The question itself may be beyond recall, so memory
  /// stays until it is answered.
  package func cancel() {
    guard completion != nil else { return }
    completion = nil
    uv_cancel(UnsafeMutableRawPointer(request).assumingMemoryBound(to: uv_req_t.self))
  }

  private func start(_ loop: EventLoop, _ host: String) {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    let status = uv_getaddrinfo(loop.raw, request, didResolveName, host, nil, &hints)
    precondition(status == 0, "a host name that HostPort accepts is one that libuv accepts")
  }

  fileprivate func didResolve(_ status: Int32, _ list: UnsafeMutablePointer<addrinfo>?) {
    defer { uv_freeaddrinfo(list) }
    guard let completion else { return }
    self.completion = nil
    if status < 0 { return completion(.failure(LoopError(code: status))) }
    var addresses: [SocketAddress] = []
    var next = list
    while let info = next {
      next = info.pointee.ai_next
      guard let address = SocketAddress(info.pointee.ai_addr)?.with(port: port),
        !addresses.contains(address)
      else { continue }
      addresses.append(address)
    }
    completion(addresses.isEmpty ? .failure(.addressNotAvailable) : .success(addresses))
  }
}

private func didResolveName(
  _ request: UnsafeMutablePointer<uv_getaddrinfo_t>?, _ status: Int32,
  _ list: UnsafeMutablePointer<addrinfo>?
) {
  EventLoop.owner(request!.pointee.loop).didWake()
  let resolver = Unmanaged<Resolver>.fromOpaque(request!.pointee.data).takeRetainedValue()
  resolver.didResolve(status, list)
}
