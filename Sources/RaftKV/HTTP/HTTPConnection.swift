import DequeModule

/// Who answers requests.
package protocol RequestHandler: AnyObject {
  /// Answers at once, promises a reply, or asks to hold. The request's bytes are borrowed for
  /// this call. A promised reply comes after this call has returned, never inside it.
  func handle(_ request: ClientRequest, token: RequestToken) -> Disposition
  /// What a write would be told now, whatever its body; nil if it would be taken. Asked before a
  /// body is invited with `100 Continue`.
  var writeRefusal: Reply? { get }
}

extension RequestHandler {
  package var writeRefusal: Reply? { nil }
}

/// What connections share: memory that is needed only while one request is being worked on.
package final class RequestScratch {
  var key = ByteBuffer()
  var json = ByteBuffer()
  var writer = ResponseWriter()
  /// The server stops: every answer that nothing follows is the last one of its connection.
  package var isDraining = false
  package let metrics: RequestMetrics
  /// Off unless asked for; may change at run time.
  package var accessLog: AccessLog?
  package init(metrics: RequestMetrics = RequestMetrics()) { self.metrics = metrics }
}

/// One client's session: bytes in, requests to the handler, responses out in the order of the
/// requests. It has never heard of a socket. It is a value with one owner, so that a call reaches
/// all of it at once: were it an object, the runtime would check each access to each of its fields.
/// Its owner, on every call that takes `now`:
///
/// 1. calls `receive` with what it read, `receiveEnd` when the client has shut its side down;
/// 2. writes `output.readable` and reports with `didWrite` what the socket took;
/// 3. reads only while `wantsRead`;
/// 4. when `closing` says `.linger`, shuts its side down once and goes on reading into
///    `receive`, which discards; when it says `.close`, closes;
/// 5. calls `deadlinePassed` at `deadline`.
///
/// ```
///   received bytes ──► parser ──► route ──► handler ──► reply ──► slots (in order) ──► output
///        └ an unfinished head waits in `input`, its body grows in `body` beside a copy of the head
/// ```
/// A request that arrives whole is handled where it lies in the received bytes, without a copy.
package struct HTTPConnection<Handler: RequestHandler>: ~Copyable {
  package enum Closing { case no, linger, close }

  /// What is being received.
  enum Phase {
    case head
    /// The body, with the bytes of a Content-Length that are still to come.
    case length(remaining: Int)
    case chunked(ChunkedDecoder)
    /// A whole request in `savedHead` and `body`, which the handler asked us to keep.
    case held
  }

  /// A request whose response is not in `output` yet.
  struct Slot {
    var context: ResponseWriter.Context
    /// The bytes of its target in `targets`, and of its id behind them.
    var targetCount: Int
    var requestIDCount: Int
    /// When it was whole, for the access log.
    var arrived: Instant
    var reply: Reply?

    var isAnswered: Bool { reply != nil }
  }

  package let id: UInt32
  package let generation: UInt32
  var limits: HTTPLimits
  let handler: Handler
  let scratch: RequestScratch

  var parser = RequestParser()
  var phase = Phase.head
  /// Bytes received and not consumed: an unfinished head, or what came after we stopped reading.
  var input = ByteBuffer(capacity: 16)
  /// The head, as bytes and understood, of a request whose body is arriving or that is held.
  var savedHead = ByteBuffer(capacity: 16)
  var savedRequest = RequestHead()
  var body = ByteBuffer(capacity: 16)
  var keepsBody = false
  var bodyReceived = 0
  /// Set while `100 Continue` is owed but earlier responses must go first.
  var owesContinue = false

  /// Invariant: slots.count <= pipelineDepth + 1; the +1 answers a request that could not be
  /// parsed.
  var slots = Deque<Slot>()
  /// The targets of the slots' requests, in their order: redirects repeat them.
  var targets = ByteBuffer(capacity: 16)
  /// The sequence of the next request. The slots' sequences are the `slots.count` before it.
  var nextSequence: UInt32 = 0
  /// Responses not yet taken by the socket.
  package var output = ByteBuffer()

  /// No further request will be read: one has said `close`, or could not be understood.
  var isFinishing = false
  var peerHasEnded = false
  var hasBroken = false
  /// Counted while lingering.
  var discarded = 0

  var waiting = Waiting.idle
  var waitingSince: Instant
  var waitingSequence: UInt32 = 0
  var outputSince: Instant?

  package init(
    id: UInt32, generation: UInt32, limits: HTTPLimits, handler: Handler,
    scratch: RequestScratch = RequestScratch(), now: Instant
  ) {
    self.id = id
    self.generation = generation
    self.limits = limits
    self.handler = handler
    self.scratch = scratch
    waitingSince = now
  }

  // MARK: What the owner calls

  package mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: Instant) {
    if isFinishing {
      discarded += bytes.count
    } else if input.isEmpty {
      let consumed = process(bytes)
      input.append(bytes.slice(consumed..<bytes.count))
    } else {
      input.append(bytes)
      processInput()
    }
    settle(now)
  }

  /// The client will send nothing more. What it has asked is still answered (RFC 9112 §9.6).
  package mutating func receiveEnd(at now: Instant) {
    peerHasEnded = true
    settle(now)
  }

  /// The answer to a request that `handle` left pending. A token of another time is ignored.
  package mutating func reply(_ reply: Reply, to token: RequestToken, at now: Instant) {
    let first = nextSequence &- UInt32(slots.count)
    let position = Int(token.sequence &- first)
    guard token.connection == id, token.generation == generation, position < slots.count,
      !slots[position].isAnswered
    else { return }
    slots[position].reply = reply
    proceed(now)
  }

  /// Offers a held request again.
  package mutating func resumeHeld(at now: Instant) {
    guard case .held = phase else { return }
    scratch.metrics.readAt = now
    dispatchSaved()
    proceed(now)
  }

  /// The socket took the first `count` bytes of `output`.
  package mutating func didWrite(_ count: Int, at now: Instant) {
    output.consume(count)
    if output.isEmpty { output.clear(keeping: HTTPLimits.idleBuffer) }
    if count > 0 { outputSince = nil }
    proceed(now)
  }

  /// Whether more bytes would be of use; false is the back-pressure.
  package var wantsRead: Bool {
    guard !peerHasEnded, closing != .close else { return false }
    return isFinishing ? closing == .linger : canProceed
  }

  /// Nothing is being received, worked on, or sent.
  package var isIdle: Bool {
    guard case .head = phase else { return false }
    return input.isEmpty && slots.isEmpty && output.isEmpty
  }

  package var closing: Closing {
    if hasBroken { return .close }
    guard isFinishing, slots.isEmpty, output.isEmpty else { return .no }
    return peerHasEnded || discarded >= HTTPLimits.maximumDiscard ? .close : .linger
  }

  /// What this connection holds on to, for a cap over all of them.
  package var bufferedBytes: Int { input.count + savedHead.count + body.count + output.count }

  // MARK: Going on

  /// Whether the next request, or the rest of this one, may be worked on.
  var canProceed: Bool {
    if case .held = phase { return false }
    return !isFinishing && slots.count < HTTPLimits.pipelineDepth
      && output.count < HTTPLimits.maximumOutput
  }

  private mutating func proceed(_ now: Instant) {
    repeat {
      flushSlots()
      processInput()
    } while hasAnswer && output.count < HTTPLimits.maximumOutput
    settle(now)
  }

  private mutating func processInput() {
    guard !input.isEmpty, canProceed else { return }
    let consumed = process(input.readable)
    input.consume(consumed)
    if input.isEmpty { input.clear(keeping: HTTPLimits.idleBuffer) }
  }

  /// Works on the bytes from the front; returns how many need not be offered again. Never touches
  /// `input`.
  private mutating func process(_ bytes: UnsafeRawBufferPointer) -> Int {
    var offset = 0
    while canProceed, offset < bytes.count {
      let rest = bytes.slice(offset..<bytes.count)
      if case .head = phase {
        switch parser.parse(rest) {
        case .needMore: return offset
        case .malformed(let failure): refuse(.failure(failure), isHead: false)
        case .head(let head): offset += begin(head, rest)
        }
      } else {
        let (consumed, isComplete) = receiveBody(rest)
        offset += consumed
        if !isComplete { return offset }
        dispatchSaved()
      }
    }
    return isFinishing ? bytes.count : offset
  }
}
