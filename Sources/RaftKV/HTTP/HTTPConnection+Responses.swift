/// From replies to bytes, in the order of the requests.
extension HTTPConnection {
  /// Ends the request in hand: with its reply, or, where that is nil, with a place for it.
  func respond(
    _ reply: Reply?, _ context: ResponseWriter.Context, target: UnsafeRawBufferPointer,
    requestID: UnsafeRawBufferPointer
  ) {
    nextSequence &+= 1
    let arrived = scratch.metrics.readAt
    if let reply, slots.isEmpty {
      return emit(
        reply, context, target: target, requestID: requestID, arrived: arrived)
    }
    targets.append(target)
    targets.append(requestID)
    slots.append(
      Slot(
        context: context, targetCount: target.count, requestIDCount: requestID.count,
        arrived: arrived, reply: reply))
  }

  /// Answers and takes no further request.
  func refuse(
    _ reply: Reply, isHead: Bool,
    target: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
    requestID: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) {
    respond(
      reply, .init(isHead: isHead, persistence: .closes), target: target, requestID: requestID)
    phase = .head
    owesContinue = false
    isFinishing = true
  }

  private func emit(
    _ reply: Reply, _ context: ResponseWriter.Context, target: UnsafeRawBufferPointer,
    requestID: UnsafeRawBufferPointer, arrived: Instant
  ) {
    let status = reply.status
    scratch.metrics.count(context.kind, status: status)
    let start = output.count
    scratch.writer.requestID = requestID
    scratch.writer.write(reply, context, target: target, to: &output)
    scratch.accessLog?.write(
      context.kind, isHead: context.isHead, status: status, bytes: output.count - start,
      target: target, requestID: requestID, arrived: arrived)
  }

  /// Writes the responses whose turn has come, as far as a slow reader may make us buffer.
  func flushSlots() {
    while output.count < HTTPLimits.maximumOutput, var slot = slots.first, let reply = slot.reply {
      if scratch.isDraining, slots.count == 1, input.isEmpty, case .head = phase {
        slot.context.persistence = .closes
        isFinishing = true
      }
      let target = targets.readable.slice(0..<slot.targetCount)
      let end = slot.targetCount + slot.requestIDCount
      let requestID = targets.readable.slice(slot.targetCount..<end)
      emit(
        reply, slot.context, target: target, requestID: requestID, arrived: slot.arrived)
      targets.consume(end)
      slots.removeFirst()
    }
    if slots.isEmpty { targets.clear(keeping: HTTPLimits.idleBuffer) }
    payContinue()
  }

  /// An interim answer, too, must not overtake the answers before it.
  func payContinue() {
    guard owesContinue, slots.isEmpty else { return }
    output.append("HTTP/1.1 100 Continue\r\n\r\n" as StaticString)
    owesContinue = false
  }
}
