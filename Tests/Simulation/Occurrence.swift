import RaftKV

/// Everything that can happen in the simulated world at some time. What is large lies behind a
/// reference: events are moved about more often than they are made.
enum Occurrence {
  /// A disk operation completes, or something else that a process of this epoch waits for.
  case completion(host: Int, epoch: Int, () -> Void)
  indirect case packet(Packet)
  /// A process's timer.
  case wake(host: Int, epoch: Int)
  /// A process's loop comes round.
  case turn(host: Int, epoch: Int)
  /// A process looks whether it has to dial this peer.
  case dial(host: Int, epoch: Int, NodeID)
  /// A handshake or an inquiry that nobody has answered is over.
  case handshakeTimeout(Connection)
  /// Nothing has been heard on this connection for so long that its end gives up, if that is still
  /// so.
  indirect case silence(Connection, host: Int, since: UInt64)
  indirect case request(Request)
  indirect case answer(client: Int, sequence: Int, Answer)
  /// A client begins its next operation, or tries the one it has again.
  case clientStep(Int)
  case clientTimeout(client: Int, sequence: Int)
  /// A fault that lasted is over, unless everything has been healed since.
  case end(era: Int, () -> Void)
  case start(host: Int)
  /// A planned fault strikes; or, without a moment, begins to wait for its moment.
  case fault(Int, Moment?)
}
