import RaftKV

/// A request on its way to a process, and in it.
struct Request {
  enum Action {
    case get(ReadLevel)
    case put(value: UInt64, size: Int)
    case delete
    case join(host: Int)
    case remove(name: String, force: Bool)
  }

  var client: Int
  var sequence: Int
  var host: Int
  var action: Action
  var key: Int
}

/// What a client is told, without borrowed memory.
enum Answer {
  case value(id: UInt64, modifyIndex: LogIndex, Staleness?)
  case notFound(Staleness?)
  case written(LogIndex)
  case deleted(LogIndex, existed: Bool)
  case changed
  case redirect(host: Int)
  /// Not accepted, and why.
  case refused(Failure)
  case unknown
  /// Nobody listens there.
  case noConnection
  /// The process died with the request in it.
  case connectionLost
}

/// Where a process meets its clients: in HTTP's place, one call per request and one per reply.
package final class ClientPort: ReplySink {
  private unowned let world: World
  private let host: Int
  private let epoch: Int
  unowned var replica: Process.Node!
  private var held: [Request] = []
  private var mustResume = false
  /// What was answered in this turn; judged and sent at its end.
  var answers: [(Request, Answer)] = []
  /// Requests that wait for their reply. Linear: a handful.
  private var pending: [Request] = []

  init(_ world: World, host: Int, epoch: Int) {
    self.world = world
    self.host = host
    self.epoch = epoch
  }

  func handle(_ request: Request) {
    let token = RequestToken(
      connection: UInt32(request.client), generation: UInt32(epoch),
      sequence: UInt32(request.sequence))
    switch offer(request, token) {
    case .reply(let reply): answers.append((request, answer(reply)))
    case .pending: pending.append(request)
    case .hold: held.append(request)
    }
  }

  private func offer(_ request: Request, _ token: RequestToken) -> Disposition {
    let key: [UInt8] = [0x6b, UInt8(request.key)]
    return key.withUnsafeBytes { key in
      switch request.action {
      case .get(let level): return replica.handle(.get(key: key, level: level), token: token)
      case .put(let value, let size):
        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: value), count: size)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, as: UInt64.self) }
        return bytes.withUnsafeBytes { value in
          replica.handle(.put(key: key, value: value), token: token)
        }
      case .delete: return replica.handle(.delete(key: key), token: token)
      case .join(let host):
        let joining = world.hosts[host]
        return replica.handle(
          .join(
            name: joining.name, raftAddress: joining.raftAddress,
            httpAddress: joining.httpAddress),
          token: token)
      case .remove(let name, let force):
        return replica.handle(.remove(name: name, force: force), token: token)
      }
    }
  }

  // MARK: ReplySink

  package func reply(_ reply: Reply, to token: RequestToken) {
    guard
      let position = pending.firstIndex(where: {
        $0.client == Int(token.connection) && $0.sequence == Int(token.sequence)
      })
    else {
      return world.fail(.oneReplyPerRequest, "a reply for nobody: \(token)")
    }
    answers.append((pending.remove(at: position), answer(reply)))
  }

  package func resumeHeldRequests() { mustResume = true }

  /// After the turn: offers again what was held. Returns whether anything was.
  func resumeHeld() -> Bool {
    guard mustResume else { return false }
    mustResume = false
    let offered = held
    held = []
    for request in offered { handle(request) }
    return !offered.isEmpty
  }

  private func answer(_ reply: Reply) -> Answer {
    switch reply {
    case .value(let entry, let staleness):
      let id = withExtendedLifetime(entry) {
        UInt64(littleEndian: entry.value.loadUnaligned(as: UInt64.self))
      }
      return .value(id: id, modifyIndex: entry.modifyIndex, staleness)
    case .notFound(let staleness): return .notFound(staleness)
    case .written(let index): return .written(index)
    case .deleted(let index, let existed): return .deleted(index, existed: existed)
    case .joined, .removed, .status: return .changed
    case .redirect(_, let address):
      return .redirect(host: world.hosts.firstIndex { $0.httpAddress == address } ?? 0)
    case .failure(let failure): return failure.status == 504 ? .unknown : .refused(failure)
    }
  }
}
