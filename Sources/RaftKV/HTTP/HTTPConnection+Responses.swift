/// From replies to bytes, in the order of the requests.
extension HTTPConnection {
  /// Ends the request in hand with its reply.
  mutating func respond(
    _ reply: Reply, _ context: ResponseWriter.Context, target: UnsafeRawBufferPointer,
    requestID: UnsafeRawBufferPointer
  ) {
    guard slots.isEmpty else {
      return respondLater(reply, context, target: target, requestID: requestID)
    }
    endRequest(context)
    emit(
      reply, context, target: target, requestID: requestID, arrived: scratch.metrics.readAt)
  }

  /// Ends the request in hand with a place for its reply, which is there already, or comes.
  mutating func respondLater(
    _ reply: Reply?, _ context: ResponseWriter.Context, target: UnsafeRawBufferPointer,
    requestID: UnsafeRawBufferPointer
  ) {
    endRequest(context)
    targets.append(target)
    targets.append(requestID)
    slots.append(
      Slot(
        context: context, targetCount: target.count, requestIDCount: requestID.count,
        arrived: scratch.metrics.readAt, reply: reply))
  }

  private mutating func endRequest(_ context: ResponseWriter.Context) {
    nextSequence &+= 1
    if context.persistence == .closes { isFinishing = true }
  }

  /// Answers and takes no further request.
  mutating func refuse(
    _ reply: Reply, isHead: Bool,
    target: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
    requestID: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) {
    respond(
      reply, .init(isHead: isHead, persistence: .closes), target: target, requestID: requestID)
    phase = .head
    owesContinue = false
  }

  private mutating func emit(
    _ reply: Reply, _ context: ResponseWriter.Context, target: UnsafeRawBufferPointer,
    requestID: UnsafeRawBufferPointer, arrived: Instant
  ) {
    let status = reply.status
    scratch.metrics.count(context.kind, status: status)
    let start = output.count
    scratch.writer.write(reply, context, target: target, requestID: requestID, to: &output)
    scratch.accessLog?.write(
      context.kind, isHead: context.isHead, status: status, bytes: output.count - start,
      target: target, requestID: requestID, arrived: arrived)
  }

  /// Whether the response whose turn it is can be written.
  var hasAnswer: Bool { !slots.isEmpty && slots[0].isAnswered }

  /// Writes the responses whose turn has come, as far as a slow reader may make us buffer.
  mutating func flushSlots() {
    while output.count < HTTPLimits.maximumOutput, hasAnswer {
      var slot = slots.removeFirst()
      if scratch.isDraining, slots.isEmpty, input.isEmpty, case .head = phase {
        slot.context.persistence = .closes
        isFinishing = true
      }
      let target = targets.readable.slice(0..<slot.targetCount)
      let end = slot.targetCount + slot.requestIDCount
      let requestID = targets.readable.slice(slot.targetCount..<end)
      emit(
        slot.reply!, slot.context, target: target, requestID: requestID, arrived: slot.arrived)
      targets.consume(end)
    }
    if slots.isEmpty { targets.clear(keeping: HTTPLimits.idleBuffer) }
    payContinue()
  }

  /// An interim answer, too, must not overtake the answers before it.
  mutating func payContinue() {
    guard owesContinue, slots.isEmpty else { return }
    output.append("HTTP/1.1 100 Continue\r\n\r\n" as StaticString)
    owesContinue = false
  }
}
