import Foundation
import Glibc
import RaftKV
import Synchronization

/// Somebody who shakes hands like a node that waits to be joined, and then never says a word.
final class MutePeer: Sendable {
  let name: String
  let address: String
  private let listener: SilentListener
  private let isOver = Mutex(false)

  init(_ name: String) throws {
    self.name = name
    listener = try SilentListener()
    address = listener.address
    Thread.detachNewThread { [self] in serve() }
  }

  func stop() { isOver.withLock { $0 = true } }

  private func serve() {
    var kept: [Int32] = []
    while !isOver.withLock({ $0 }) {
      guard let connection = try? listener.accept(within: 0.2) else { continue }
      shakeHands(connection)
      kept.append(connection)
    }
    for connection in kept { close(connection) }
  }

  private func shakeHands(_ connection: Int32) {
    // The largest id: the leader dials.
    let id = NodeID(UInt64(Int64.max))
    var session = PeerSession(acceptingAs: id)
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while session.phase == .awaitingHello {
      let count = recv(connection, &chunk, chunk.count, 0)
      guard count > 0 else { return }
      chunk[..<count].withUnsafeBytes { bytes in
        var input = bytes
        guard case .hello(let hello)? = session.nextEvent(from: &input) else { return }
        let local = LocalIdentity(
          cluster: hello.cluster, name: name, id: id, memberSince: .zero, nonce: 77,
          raftAddress: address, httpAddress: address)
        session.accept(with: Hello(from: local, to: hello.sender, purpose: hello.purpose))
      }
    }
    let answer = Array(session.outbox.nextRun())
    send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
  }
}
