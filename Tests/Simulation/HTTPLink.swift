import RaftKV

/// One client's connection to one process, as both ends see it: what was asked on it, and what has
/// been answered.
final class HTTPLink {
  /// A request that was sent, until its response has been read.
  struct Entry {
    var encoded: EncodedRequest
    /// The client's; nil for one that comes along.
    var request: Request?
    /// The replica has been asked.
    var wasDispatched = false
    /// What it said.
    var reply: Reply?
    /// `100 Continue` has come, or cannot come any more.
    var mayHaveBody = true
  }

  var session: HTTPConnection<HTTPPort>
  /// The session's. It is asked for while the session is at work.
  let id: UInt32
  let client: Int
  var parser = ResponseParser()
  private(set) var entries: [Entry] = []
  /// Responses read so far: the sequence of the first entry.
  private(set) var answered: UInt32 = 0
  /// Sent and not yet read by the server, which reads only while it wants to.
  var backlog: [[UInt8]] = []
  /// When the last fragment that is under way arrives.
  var arrivesAt: UInt64 = 0
  /// A body that waits for `100 Continue`.
  var heldBody: [UInt8] = []
  /// Reads a little at a time.
  var isSlow = false
  var isReadPlanned = false
  /// The client sends nothing more: it has said so, or nothing would be taken.
  var isFinished = false
  /// The server has said that it closes.
  var wasToldOfClose = false
  var isDead = false

  init(_ session: consuming HTTPConnection<HTTPPort>, client: Int) {
    id = session.id
    self.session = session
    self.client = client
  }

  func add(_ entry: Entry) {
    entries.append(entry)
    if entry.encoded.closes { isFinished = true }
  }

  /// The position of the request with this sequence; nil if it has been answered, or never been
  /// sent.
  func position(of sequence: UInt32) -> Int? {
    let position = Int(sequence &- answered)
    return position < entries.count ? position : nil
  }

  subscript(position: Int) -> Entry {
    get { entries[position] }
    set { entries[position] = newValue }
  }

  func removeFirst() -> Entry {
    answered &+= 1
    return entries.removeFirst()
  }
}
