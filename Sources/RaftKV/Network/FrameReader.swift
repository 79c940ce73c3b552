/// Cuts a stream of bytes into frames, wherever the stream was split.
///
/// Frames are pulled: `next` takes from the input what it needs and lends the frame's body, valid
/// until the next call. A frame that lies whole in the input is lent from there; only an unfinished
/// tail is copied. Nil means that the input is used up and more is wanted.
package struct FrameReader: ~Copyable {
  /// The largest body accepted now. Small until the handshake is done, so that a stranger cannot
  /// make us hold memory for him.
  package var bodyLimit: Int
  /// The beginning of one frame, or the whole of the frame lent last.
  private var pending = ByteBuffer()
  /// Whether `pending` is the frame lent by the last `next`: the next call forgets it.
  private var isLent = false

  package init(bodyLimit: Int = FrameCodec.maximumBodySize) { self.bodyLimit = bodyLimit }

  /// How much of an unfinished frame has come; 0 between frames.
  package var partialBytes: Int { isLent ? 0 : pending.count }

  package mutating func next(
    from input: inout UnsafeRawBufferPointer
  ) throws(FrameError) -> RawFrame? {
    if isLent {
      pending.clear()
      isLent = false
    }
    if pending.isEmpty, let frame = try wholeFrame(at: &input) { return frame }

    guard take(upTo: FrameCodec.headerSize, from: &input) else {
      try checkMagic()
      return nil
    }
    let header = try FrameHeader(pending.readable, limit: bodyLimit)
    guard take(upTo: header.frameSize, from: &input) else { return nil }
    isLent = true
    return try header.frame(in: pending.readable)
  }

  /// The frame that lies whole at the input's front, if one does.
  private func wholeFrame(
    at input: inout UnsafeRawBufferPointer
  ) throws(FrameError) -> RawFrame? {
    guard input.count >= FrameCodec.headerSize else { return nil }
    let header = try FrameHeader(input, limit: bodyLimit)
    guard input.count >= header.frameSize else { return nil }
    defer { input = UnsafeRawBufferPointer(rebasing: input[header.frameSize...]) }
    return try header.frame(in: input)
  }

  /// Moves bytes until `pending` holds `count`; returns whether it does.
  private mutating func take(upTo count: Int, from input: inout UnsafeRawBufferPointer) -> Bool {
    let taken = min(max(count - pending.count, 0), input.count)
    pending.append(UnsafeRawBufferPointer(rebasing: input[..<taken]))
    input = UnsafeRawBufferPointer(rebasing: input[taken...])
    return pending.count >= count
  }

  /// Judges even a single byte: an HTTP client on the peer port must not
  /// have to send a whole header.
  private func checkMagic() throws(FrameError) {
    let isMagic = withUnsafeBytes(of: FrameCodec.magicBytes) { magic in
      zip(pending.readable, magic).allSatisfy { $0 == $1 }
    }
    guard isMagic else { throw .notOurProtocol }
  }
}
