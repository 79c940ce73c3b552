/// One attempt to reach `host:port`: the name is resolved, then its addresses are tried in turn.
final class Dial {
  enum Failure: Error {
    case unresolvable(String)
    /// Every address said that nobody listens: the process is gone, wherever the name points.
    case connectionRefused
    case unreachable(LoopError)
  }

  private let loop: EventLoop
  private var resolver: Resolver?
  private var dialer: Dialer?
  private var addresses: [SocketAddress] = []
  private var completion: ((Result<Stream, Failure>) -> Void)?
  /// The first failure that was not a refusal.
  private var failure: LoopError?

  init(_ loop: EventLoop) { self.loop = loop }

  /// `completion` is called once, not after `cancel`; before this returns only if the address is
  /// none. It wires the stream before it returns.
  func start(_ address: String, completion: @escaping (Result<Stream, Failure>) -> Void) {
    guard let target = HostPort(address) else {
      return completion(.failure(.unresolvable("'\(address)' is not host:port")))
    }
    self.completion = completion
    resolver = Resolver.resolve(loop, target) { [self] result in
      switch result {
      case .success(let resolved):
        addresses = resolved.reversed()
        tryNext()
      case .failure(let error):
        complete(.failure(.unresolvable(error.description)))
      }
    }
  }

  func cancel() {
    completion = nil
    resolver?.cancel()
    dialer?.cancel()
  }

  private func tryNext() {
    guard let address = addresses.popLast() else {
      return complete(.failure(failure.map(Failure.unreachable) ?? .connectionRefused))
    }
    dialer = Dialer.connect(loop, to: address) { [self] result in
      switch result {
      case .success(let stream):
        complete(.success(stream))
      case .failure(let error):
        if error != .connectionRefused && failure == nil { failure = error }
        tryNext()
      }
    }
  }

  private func complete(_ result: Result<Stream, Failure>) {
    guard let completion else {
      if case .success(let stream) = result { stream.close() }
      return
    }
    self.completion = nil
    completion(result)
  }
}

extension Dial.Failure: CustomStringConvertible {
  var description: String {
    switch self {
    case .unresolvable(let reason): reason
    case .connectionRefused: "connection refused"
    case .unreachable(let error): error.description
    }
  }
}
