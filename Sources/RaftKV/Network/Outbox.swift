/// Frames on their way to one peer, in two classes: control goes ahead of queued bulk, at frame
/// boundaries (H2). Within a class the order of sending is kept.
///
/// Votes, heartbeats and replies are control. Appends and snapshot chunks are bulk; an append
/// without entries too, so that appends keep their order among each other.
package struct Outbox: ~Copyable {
  /// The driver stops producing entries at 8 MiB a peer, so there is never more than that and one
  /// entry of the largest size. What exceeds it is a mistake, and the connection is given up.
  package static let bulkLimit = FrameCodec.maximumBodySize
  /// How much bulk goes to the stream at once. What lies in the stream is in front of the next
  /// heartbeat: at 1 Gbit/s this is 2 ms of it.
  static let runSize = 256 << 10

  private var control = ByteBuffer()
  private var bulk = ByteBuffer()
  /// Bytes of the run that was lent; `didTake` forgets them.
  private var lentControl = 0
  private var lentBulk = 0

  package init() {}

  package var count: Int { control.count + bulk.count }
  package var isEmpty: Bool { control.isEmpty && bulk.isEmpty }
  package var hasOverflown: Bool { bulk.count > Self.bulkLimit }

  mutating func append(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer
  ) {
    precondition(lentControl == 0 && lentBulk == 0, "nothing is added while a run is lent")
    switch envelope.message {
    case .append, .snapshotChunk:
      bulk.appendFrame(envelope, report: report, payload: payload)
    default:
      control.appendFrame(envelope, report: report, payload: payload)
    }
  }

  mutating func append(_ type: FrameType, _ hello: Hello) { control.appendFrame(type, hello) }
  mutating func append(_ refusal: Refusal) { control.appendFrame(refusal) }
  /// A chunk that was encoded before there was a connection for it.
  mutating func append(chunkFrame frame: UnsafeRawBufferPointer) { bulk.append(frame) }
  mutating func appendKeepAlive() { control.appendKeepAlive() }

  /// The next frames to write, borrowed until `didTake`; empty when there are none.
  package mutating func nextRun() -> UnsafeRawBufferPointer {
    precondition(lentControl == 0 && lentBulk == 0, "one run is lent at a time")
    if !control.isEmpty {
      lentControl = control.count
      return control.readable
    }
    lentBulk = bulkRun()
    return UnsafeRawBufferPointer(rebasing: bulk.readable[..<lentBulk])
  }

  /// The lent run was written or copied.
  package mutating func didTake() {
    control.consume(lentControl)
    bulk.consume(lentBulk)
    lentControl = 0
    lentBulk = 0
    // A large value that passed must not keep its memory.
    if bulk.isEmpty { bulk.clear(keeping: 4 << 20) }
  }

  /// The length of the whole frames at the front of bulk: at least one, then up to `runSize`.
  private func bulkRun() -> Int {
    let bytes = bulk.readable
    var run = 0
    while run < bytes.count {
      let bodySize = bytes.loadUnaligned(fromByteOffset: run + 8, as: UInt32.self)
      let frameSize = FrameCodec.headerSize + Int(UInt32(littleEndian: bodySize))
      if run > 0 && run + frameSize > Self.runSize { break }
      run += frameSize
    }
    return run
  }
}
