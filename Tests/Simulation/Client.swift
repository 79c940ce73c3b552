import RaftKV

/// One simulated client: it has at most one operation under way, follows redirects, tries again
/// what was not accepted, and gives up what it cannot know.
struct Client {
  struct Operation {
    var action: Request.Action
    var key: Int
    var calledAt: UInt64
    /// The newest index that anyone had been told of when this was called.
    var acknowledgedAtCall: UInt64
    /// Where it was last sent.
    var host: Int
    var redirects = 0
    /// Sent, and no answer yet.
    var isOut = false
  }

  let index: Int
  var random: Random
  var operation: Operation?
  /// Distinguishes answers to this operation's last attempt from those to earlier ones.
  var sequence = 0
  var guess = 0
  /// What the operator still has to do; others have no list but make up their work.
  var errands: [Request.Action] = []
  var completed = (writes: 0, reads: 0)

  init(index: Int, random: Random) {
    self.index = index
    self.random = random
  }

  /// The operator joins and removes nodes, and does not touch data.
  var isOperator: Bool { index == 0 }
}

extension World {
  private static let clientPatience = 3 * Duration.second
  private static let operatorPatience = 20 * Duration.second
  private static let retryPause = 100 * Duration.millisecond

  // MARK: Operations

  func step(_ client: Int) {
    if clients[client].operation == nil { begin(client) } else { attempt(client) }
  }

  private func begin(_ client: Int) {
    guard !reachable.isEmpty, !(isOperatorPaused && clients[client].isOperator) else { return }
    let action: Request.Action
    if clients[client].isOperator {
      guard !clients[client].errands.isEmpty else { return }
      action = clients[client].errands[0]
    } else {
      guard !isQuiet else { return }
      action = chooseAction(client)
    }
    clients[client].operation = Client.Operation(
      action: action, key: clients[client].random.below(swarm.keyCount), calledAt: now,
      acknowledgedAtCall: checker.acknowledged, host: clients[client].guess)
    if swarm.has(.clientDeaths), isRaging, !clients[client].isOperator,
      clients[client].random.coin(0.02)
    {
      // It sends, and never listens.
      send(client)
      clients[client].operation = nil
      queue.schedule(.clientStep(client), at: now + Duration.second)
      return
    }
    attempt(client)
  }

  private func chooseAction(_ client: Int) -> Request.Action {
    if isProbing, !clients[client].random.coin(0.5) { return .get(.consistent) }
    if isProbing {
      nextValue += 1
      return .put(value: nextValue, size: 8)
    }
    if clients[client].random.coin(swarm.readShare) {
      return .get([.consistent, .leaseBound, .stale][clients[client].random.below(3)])
    }
    if clients[client].random.coin(swarm.deleteShare) { return .delete }
    let value = nextValue
    nextValue += 1
    return .put(value: value, size: clients[client].random.pick(swarm.valueSizes))
  }

  private func attempt(_ client: Int) {
    guard clients[client].operation != nil, !clients[client].operation!.isOut else { return }
    if isOperatorPaused, clients[client].isOperator { return }
    if !reachable.contains(clients[client].operation!.host) {
      clients[client].operation!.host = clients[client].random.pick(reachable)
    }
    send(client)
  }

  private func send(_ client: Int) {
    clients[client].sequence += 1
    clients[client].operation!.isOut = true
    let operation = clients[client].operation!
    let sequence = clients[client].sequence
    let request = Request(
      client: client, sequence: sequence, host: operation.host, action: operation.action,
      key: operation.key)
    trace.note(now, nil, "c\(client) asks n\(operation.host + 1): \(operation.action)")
    queue.schedule(.request(request), at: now + clientLatency(client))
    let patience = clients[client].isOperator ? Self.operatorPatience : Self.clientPatience
    queue.schedule(.clientTimeout(client: client, sequence: sequence), at: now + patience)
  }

  private func clientLatency(_ client: Int) -> UInt64 {
    clients[client].random.time(20 * Duration.microsecond, Duration.millisecond)
  }

  // MARK: Answers

  /// Sends an answer on its way.
  func answer(_ request: Request, _ answer: Answer) {
    trace.fold(UInt64(request.client) << 32 ^ UInt64(request.sequence))
    queue.schedule(
      .answer(client: request.client, sequence: request.sequence, answer),
      at: now + clientLatency(request.client))
  }

  func receive(_ answer: Answer, sequence: Int, client: Int) {
    guard clients[client].sequence == sequence, let operation = clients[client].operation,
      operation.isOut
    else { return }
    trace.note(now, nil, "c\(client) gets \(answer)")
    clients[client].operation!.isOut = false
    switch answer {
    case .value, .notFound:
      clients[client].completed.reads += 1
      finish(client)
    case .written, .deleted:
      clients[client].completed.writes += 1
      finish(client)
    case .changed:
      if clients[client].isOperator { didErrand(operation.action) }
      finish(client)
    case .redirect(let host):
      marks.hit(.clientRedirected)
      clients[client].guess = host
      clients[client].operation!.host = host
      clients[client].operation!.redirects += 1
      let isLost = clients[client].operation!.redirects > 5
      queue.schedule(.clientStep(client), at: now + (isLost ? Self.retryPause : 0))
      if isLost { clients[client].operation!.redirects = 0 }
    case .refused(let failure): retryElsewhere(client, failure)
    case .noConnection: retryElsewhere(client, nil)
    case .unknown, .connectionLost: didNotLearn(client)
    }
  }

  private func didErrand(_ action: Request.Action) {
    clients[0].errands.removeFirst()
    guard case .join(let host) = action else { return }
    // While nobody answers at its address, "joined" is said of the member that stood there before
    // its disk was lost.
    guard checker.configuration.contains(hosts[host].promise.node) else {
      clients[0].errands.insert(contentsOf: renewal(of: hosts[host]), at: 0)
      return
    }
    hosts[host].isWiped = false
  }

  private func finish(_ client: Int) {
    clients[client].operation = nil
    let isHurried = clients[client].isOperator || isProbing
    let pause = isHurried ? Duration.millisecond : swarm.thinkTime
    let wait = clients[client].random.time(pause / 2, pause * 3 / 2)
    queue.schedule(.clientStep(client), at: now + wait)
  }

  /// It was not accepted: another node may.
  private func retryElsewhere(_ client: Int, _ failure: Failure?) {
    if clients[client].isOperator, let failure, failure.status == 404 {
      clients[client].errands.removeFirst()  // Removed already.
      return finish(client)
    }
    if case .join(let host)? = clients[client].operation?.action,
      failure?.code == "other_incarnation"
    {
      clients[client].errands.removeFirst()
      clients[client].errands.insert(contentsOf: renewal(of: hosts[host]), at: 0)
      return finish(client)
    }
    // Some ask the same node again, whatever it says.
    if !swarm.has(.stubbornClients) || !isRaging || clients[client].isOperator || client % 2 == 0 {
      let host = clients[client].random.pick(reachable)
      clients[client].guess = host
      clients[client].operation!.host = host
    }
    let pause = Self.retryPause
    queue.schedule(
      .clientStep(client), at: now + clients[client].random.time(pause / 4, pause))
  }

  /// The outcome stays unknown. An operator asks again, for what it does can be repeated; anyone
  /// else gives up, and a write of its may yet take effect.
  private func didNotLearn(_ client: Int) {
    marks.hit(.outcomeUnknown)
    if clients[client].isOperator { return retryElsewhere(client, nil) }
    clients[client].guess = clients[client].random.pick(reachable)
    finish(client)
  }

  func timeOut(_ client: Int, sequence: Int) {
    guard clients[client].sequence == sequence, clients[client].operation?.isOut == true else {
      return
    }
    trace.note(now, nil, "c\(client) waits no longer")
    clients[client].operation!.isOut = false
    didNotLearn(client)
  }

  /// The process that had these requests is gone.
  func loseClients(of host: Int, isSilent: Bool) {
    guard !isSilent else { return }  // Nobody tells them; they time out.
    for client in clients.indices {
      guard let operation = clients[client].operation, operation.isOut, operation.host == host
      else { continue }
      queue.schedule(
        .answer(client: client, sequence: clients[client].sequence, .connectionLost),
        at: now + clientLatency(client))
    }
  }
}
