/// From a parsed head to the handler.
extension HTTPConnection {
  /// Begins the request whose head stands at the front of `bytes`; returns how many bytes it took.
  mutating func begin(_ head: RequestHead, _ bytes: UnsafeRawBufferPointer) -> Int {
    let isHead = head.method == .head
    if head.hasUnknownExpectation {
      refuse(
        .failure(.expectationFailed), isHead: isHead, target: bytes.slice(target(of: head)),
        requestID: bytes.slice(head.requestID))
      return head.length
    }
    let headBytes = bytes.slice(0..<head.length)
    let route = Router.route(head, headBytes, decoded: &scratch.key)
    let limit = bodyLimit(route)
    switch head.framing {
    case .none:
      dispatch(route, head, headBytes, UnsafeRawBufferPointer(start: nil, count: 0))
      return head.length
    case .length(let count):
      guard count <= limit else {
        refuseBody(route, isHead)
        return head.length
      }
      if bytes.count - head.length >= count {
        let end = head.length + count
        dispatch(route, head, headBytes, bytes.slice(head.length..<end))
        return end
      }
    case .chunked: break
    }
    if head.expectsContinue, bytes.count == head.length {
      if let refusal = refusal(route) {
        refuse(
          refusal, isHead: isHead, target: headBytes.slice(target(of: head)),
          requestID: headBytes.slice(head.requestID))
        return head.length
      }
      owesContinue = true
      payContinue()
    }
    beginBody(head, headBytes, route, limit)
    return head.length
  }

  private mutating func beginBody(
    _ head: RequestHead, _ headBytes: UnsafeRawBufferPointer, _ route: Route, _ limit: Int
  ) {
    savedRequest = head
    savedHead.clear(keeping: HTTPLimits.idleBuffer)
    savedHead.append(headBytes)
    body.clear(keeping: HTTPLimits.idleBuffer)
    bodyReceived = 0
    switch route {
    case .put, .post: keepsBody = true
    case .request, .failure: keepsBody = false
    }
    if case .length(let count) = head.framing {
      // Not all at once: a promise of a megabyte costs the sender nothing.
      if keepsBody { body.reserve(min(count, HTTPLimits.maximumDiscard)) }
      phase = .length(remaining: count)
    } else {
      phase = .chunked(ChunkedDecoder(limit: limit, discards: !keepsBody))
    }
  }

  private func bodyLimit(_ route: Route) -> Int {
    switch route {
    case .put: return limits.maximumValue
    case .post: return limits.maximumJSON
    case .request, .failure: return HTTPLimits.maximumDiscard
    }
  }

  /// A body too long even to be dropped: the connection goes, and where the request had an answer
  /// already, that is what it gets.
  private mutating func refuseBody(_ route: Route, _ isHead: Bool) {
    if case .failure(let failure) = route {
      refuse(.failure(failure), isHead: isHead)
    } else {
      refuse(.failure(.bodyTooLarge), isHead: isHead)
    }
  }

  /// What is known to go wrong before the body has been sent.
  private func refusal(_ route: Route) -> Reply? {
    switch route {
    case .failure(let failure): return .failure(failure)
    case .put, .post: return handler.writeRefusal
    case .request: return nil
    }
  }

  /// Takes body bytes from the front; returns how many, and whether the body is whole.
  mutating func receiveBody(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, isComplete: Bool) {
    switch phase {
    case .length(let remaining):
      let count = min(remaining, bytes.count)
      if keepsBody { body.append(bytes.slice(0..<count)) }
      bodyReceived += count
      phase = .length(remaining: remaining - count)
      return (count, count == remaining)
    case .chunked(var decoder):
      let (consumed, result) = decoder.decode(bytes, into: &body)
      bodyReceived = decoder.received
      phase = .chunked(decoder)
      if case .malformed(let failure) = result {
        refuse(.failure(failure), isHead: savedRequest.method == .head)
        return (consumed, false)
      }
      return (consumed, result == .done)
    case .head, .held:
      preconditionFailure("body bytes come only after a head that has announced them")
    }
  }

  /// Offers the request that lies in `savedHead` and `body`.
  mutating func dispatchSaved() {
    phase = .head
    owesContinue = false
    let headBytes = savedHead.readable
    let route = Router.route(savedRequest, headBytes, decoded: &scratch.key)
    dispatch(route, savedRequest, headBytes, body.readable)
    guard case .head = phase else { return }
    savedHead.clear(keeping: HTTPLimits.idleBuffer)
    body.clear(keeping: HTTPLimits.idleBuffer)
  }

  private mutating func dispatch(
    _ route: Route, _ head: RequestHead, _ headBytes: UnsafeRawBufferPointer,
    _ bodyBytes: UnsafeRawBufferPointer
  ) {
    let target = headBytes.slice(target(of: head))
    let requestID = headBytes.slice(head.requestID)
    switch ask(route, bodyBytes) {
    case .reply(let reply):
      respond(reply, context(of: head, route.kind), target: target, requestID: requestID)
    case .pending:
      respondLater(nil, context(of: head, route.kind), target: target, requestID: requestID)
    case .hold:
      phase = .held
      // Already there when it is offered again.
      guard headBytes.baseAddress != savedHead.readable.baseAddress else { return }
      savedRequest = head
      savedHead.clear(keeping: HTTPLimits.idleBuffer)
      savedHead.append(headBytes)
      body.clear(keeping: HTTPLimits.idleBuffer)
      if case .request = route { return }
      body.append(bodyBytes)
    }
  }

  private func ask(_ route: Route, _ bodyBytes: UnsafeRawBufferPointer) -> Disposition {
    let token = RequestToken(connection: id, generation: generation, sequence: nextSequence)
    switch route {
    case .failure(let failure):
      return .reply(.failure(failure))
    case .request(let request):
      return handler.handle(request, token: token)
    case .put(let key):
      return handler.handle(.put(key: key, value: bodyBytes), token: token)
    case .post:
      do throws(Failure) {
        let (key, value) = try JSONKeyValueParser.parse(bodyBytes, decoded: &scratch.json)
        guard 1...HTTPLimits.maximumKey ~= key.count else { throw .badKey }
        guard value.count <= limits.maximumValue else { throw .valueTooLarge }
        return handler.handle(.put(key: key, value: value), token: token)
      } catch {
        return .reply(.failure(error))
      }
    }
  }

  private func context(of head: RequestHead, _ kind: RequestKind) -> ResponseWriter.Context {
    // What follows a CONNECT may be meant for a tunnel, not for us.
    let keepsAlive = head.keepsAlive && head.method != .connect && !scratch.isDraining
    return ResponseWriter.Context(
      isHead: head.method == .head,
      persistence: !keepsAlive ? .closes : head.minorVersion == 0 ? .announced : .implied,
      kind: kind)
  }

  private func target(of head: RequestHead) -> Range<Int> {
    head.path.lowerBound..<head.query.upperBound
  }
}
