/// What a connection may wait for, and how long.
enum Waiting {
  /// For the first byte of a request.
  case idle
  case head
  case body
  /// For the handler, or for the client to take what we have written.
  case reply
  /// For the client to notice that we have shut our side down.
  case linger
}

extension HTTPConnection {
  /// When the owner must call `deadlinePassed`.
  package var deadline: Instant {
    let stall = outputSince.map { $0 + HTTPLimits.writeStallTime } ?? .distantFuture
    return min(stall, waitingDeadline)
  }

  private var waitingDeadline: Instant {
    switch waiting {
    case .idle: return waitingSince + HTTPLimits.idleTime
    case .head: return waitingSince + HTTPLimits.headTime
    case .body:
      return waitingSince + HTTPLimits.bodyGrace + HTTPLimits.bodyTimePerByte * bodyReceived
    case .reply: return .distantFuture
    case .linger: return waitingSince + HTTPLimits.lingerTime
    }
  }

  /// Does what is due: a request that dawdles is told so, a client that does not read is dropped.
  package mutating func deadlinePassed(at now: Instant) {
    if let outputSince, now >= outputSince + HTTPLimits.writeStallTime {
      hasBroken = true
    } else if now >= waitingDeadline {
      switch waiting {
      case .head, .body: refuse(.failure(.requestTimeout), isHead: false)
      case .idle, .linger: hasBroken = true
      case .reply: break
      }
    }
    settle(now)
  }

  /// There is no room for this client: it is told so, whatever it came to ask.
  package mutating func turnAway(at now: Instant) {
    refuse(.failure(.tooManyConnections), isHead: false)
    settle(now)
  }

  /// Memory is short: a request that is still arriving is refused, and what it holds is let go.
  package mutating func shed(at now: Instant) {
    guard !isFinishing else { return }
    switch phase {
    case .held: return
    case .head:
      guard !input.isEmpty else { return }
      refuse(.failure(.memoryShort), isHead: false)
    case .length, .chunked:
      refuse(.failure(.memoryShort), isHead: savedRequest.method == .head)
    }
    savedHead.clear(keeping: HTTPLimits.idleBuffer)
    body.clear(keeping: HTTPLimits.idleBuffer)
    settle(now)
  }

  /// Last thing of every call from the owner: draws the conclusions and sets the clocks.
  mutating func settle(_ now: Instant) {
    if isFinishing, !input.isEmpty { input.clear(keeping: HTTPLimits.idleBuffer) }
    // All that the client has sent has been judged; what is unfinished will never be whole.
    if peerHasEnded, canProceed { isFinishing = true }
    if output.isEmpty { outputSince = nil } else if outputSince == nil { outputSince = now }
    let current = currentWaiting
    if current != waiting || waitingSequence != nextSequence {
      waiting = current
      waitingSince = now
      waitingSequence = nextSequence
    }
  }

  private var currentWaiting: Waiting {
    if closing == .linger { return .linger }
    guard wantsRead, !owesContinue else { return .reply }
    if case .head = phase {
      if !input.isEmpty { return .head }
      return slots.isEmpty && output.isEmpty ? .idle : .reply
    }
    return .body
  }
}
