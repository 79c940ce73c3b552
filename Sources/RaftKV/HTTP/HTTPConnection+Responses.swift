/// From replies to bytes, in the order of the requests.
extension HTTPConnection {
  /// Ends the request in hand: with its reply, or, where that is nil, with a place for it.
  func respond(
    _ reply: Reply?, _ context: ResponseWriter.Context, target: UnsafeRawBufferPointer
  ) {
    nextSequence &+= 1
    if let reply, slots.isEmpty { return emit(reply, context, target: target) }
    targets.append(target)
    slots.append(Slot(context: context, targetCount: target.count, reply: reply))
  }

  /// Answers and takes no further request.
  func refuse(
    _ reply: Reply, isHead: Bool,
    target: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) {
    respond(reply, .init(isHead: isHead, persistence: .closes), target: target)
    phase = .head
    owesContinue = false
    isFinishing = true
  }

  private func emit(
    _ reply: Reply, _ context: ResponseWriter.Context, target: UnsafeRawBufferPointer
  ) {
    scratch.metrics.count(context.kind, status: reply.status)
    scratch.writer.write(reply, context, target: target, to: &output)
  }

  /// Writes the responses whose turn has come, as far as a slow reader may make us buffer.
  func flushSlots() {
    while output.count < HTTPLimits.maximumOutput, let slot = slots.first, let reply = slot.reply {
      let target = targets.readable.slice(0..<slot.targetCount)
      emit(reply, slot.context, target: target)
      targets.consume(slot.targetCount)
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
