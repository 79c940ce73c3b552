extension Listener {
  /// Listens on every address that a name or a wildcard stands for. One that this machine
  /// does not have (IPv6 switched off) is passed over as long as another one works; one
  /// that is in use is an error.
  static func bind(
    _ loop: EventLoop, _ addresses: [SocketAddress]
  ) throws(LoopError) -> [Listener] {
    var listeners: [Listener] = []
    var failure: LoopError?
    for address in addresses {
      // Of the wildcards the first that works is enough: the one of IPv6 takes IPv4 connections
      // too, and would be in the way of the other.
      if address.isWildcard, !listeners.isEmpty { break }
      do throws(LoopError) {
        listeners.append(try Listener(loop, at: address))
      } catch {
        failure = failure ?? error
        guard error == .addressInUse else { continue }
        for listener in listeners { listener.close() }
        throw error
      }
    }
    if listeners.isEmpty, let failure { throw failure }
    return listeners
  }
}
