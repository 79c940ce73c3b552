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
  /// Since when the replica has kept it waiting; nil for one that it answered at once.
  var waitsSince: UInt64?

  func waiting(since time: UInt64) -> Request {
    var request = self
    request.waitsSince = time
    return request
  }
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
  /// The world outlives every process, and the process everything of its own.
  private unowned(unsafe) let world: World
  private let host: Int
  private let epoch: Int
  private unowned(unsafe) var replica: Process.Node!
  private var held: [Request] = []
  private var mustResume = false
  /// What the replica has answered in this turn; judged at its end.
  var answers: [(Request, Answer)] = []
  /// What goes to the clients at the turn's end: the same, unless HTTP lies between.
  var deliveries: [(Request, Answer)] = []
  private var http: HTTPPort?
  /// Requests that wait for their reply. Linear: a handful.
  private var pending: [Request] = []

  init(_ world: World, host: Int, epoch: Int) {
    self.world = world
    self.host = host
    self.epoch = epoch
    if world.swarm.speaksHTTP {
      http = HTTPPort(world, self, host: host, epoch: epoch)
    }
  }

  func serve(_ replica: Process.Node) {
    self.replica = replica
    http?.replica = replica
  }

  /// The process is gone.
  func end() { http?.hangUpAll() }

  func handle(_ request: Request) {
    if let http { return http.send(request) }
    let token = RequestToken(
      connection: UInt32(request.client), generation: UInt32(epoch),
      sequence: UInt32(request.sequence))
    switch offer(request, token) {
    case .reply(let reply): didAnswer(request, reply)
    case .pending: pending.append(request.waiting(since: world.now))
    case .hold: held.append(request)
    }
  }

  private func offer(_ request: Request, _ token: RequestToken) -> Disposition {
    let key: [UInt8] = [0x6b, UInt8(request.key)]
    return key.withUnsafeBytes { key in
      switch request.action {
      case .get(let level): return replica.handle(.get(key: key, level: level), token: token)
      case .put(let value, let size):
        return Request.valueBytes(value, size: size).withUnsafeBytes { value in
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
    if let http { return http.reply(reply, to: token) }
    guard
      let position = pending.firstIndex(where: {
        $0.client == Int(token.connection) && $0.sequence == Int(token.sequence)
      })
    else {
      return world.fail(.oneReplyPerRequest, "a reply for nobody: \(token)")
    }
    didAnswer(pending.remove(at: position), reply)
  }

  private func didAnswer(_ request: Request, _ reply: Reply) {
    let answer = answer(reply)
    answers.append((request, answer))
    deliveries.append((request, answer))
  }

  package func resumeHeldRequests() {
    if let http { http.resumeHeldRequests() } else { mustResume = true }
  }

  /// After the turn: answers go out, and what was held is offered again. Returns whether the
  /// replica was asked anything.
  func endTurn() -> Bool {
    if let http { return http.endTurn() }
    guard mustResume else { return false }
    mustResume = false
    let offered = held
    held = []
    for request in offered { handle(request) }
    return !offered.isEmpty
  }

  func answer(_ reply: Reply) -> Answer {
    switch reply {
    case .value(let entry, let staleness):
      let id = withExtendedLifetime(entry) {
        UInt64(littleEndian: entry.value.loadUnaligned(as: UInt64.self))
      }
      return .value(id: id, modifyIndex: entry.modifyIndex, staleness)
    case .notFound(let staleness): return .notFound(staleness)
    case .written(let index): return .written(index)
    case .deleted(let index, let existed): return .deleted(index, existed: existed)
    case .joined, .removed, .status, .healthy, .metrics: return .changed
    case .redirect(_, let address):
      return .redirect(host: world.hosts.firstIndex { $0.httpAddress == address } ?? 0)
    case .failure(let failure): return failure.status == 504 ? .unknown : .refused(failure)
    }
  }
}
