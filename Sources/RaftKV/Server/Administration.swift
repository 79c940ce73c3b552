import DequeModule

/// Joins and removes: one at a time, in order of arrival; each lives until it has succeeded or
/// failed, whether or not its client is still there.
struct Administration {
  enum Task {
    case join(Join)
    case remove(Remove)
    /// A member came back with other addresses: they are looked at, then recorded.
    case update(Update)
  }

  struct Join {
    var name: String
    var raftAddress: String
    var httpAddress: String?
    /// Repeated requests attach to the same attempt.
    var tokens: [RequestToken]
    /// When the address was first dialled.
    var startedAt: Instant?
    var phase = JoinPhase.new
  }

  enum JoinPhase: Equatable {
    case new
    /// Nobody answered at the address yet: dialled again at this time. A
    /// leader wakes at every heartbeat.
    case waiting(until: Instant)
    /// Dialling the address; nothing is written yet.
    case discovering
    /// Someone answered; what follows waits for the configuration before it to be committed.
    case discovered(NodeID, httpAddress: String)
    /// The entry at `index` adds it as a learner, or changes its address.
    case appended(NodeID, index: LogIndex)
  }

  struct Remove {
    var name: String
    var isForced: Bool
    var token: RequestToken
    var phase = RemovePhase.new
  }

  enum RemovePhase: Equatable {
    /// Waits until the configuration may be changed.
    case new
    /// Those who would be left are asked whether they are there: by this round, which begins after
    /// the question, and no longer than this.
    case asking(round: UInt64, until: Instant)
    case appended(LogIndex)
  }

  struct Update {
    var id: NodeID
    var addresses: Addresses
    /// Another member has said so.
    var isHearsay = false
    var phase = UpdatePhase.new
  }

  enum UpdatePhase: Equatable {
    case new
    case discovering
    case confirmed
  }

  /// When moves that could not be confirmed are looked at again, or reported again to the leader.
  var movesDue: Instant?
  /// When a report may be looked into again: each has its own pause, so that one in vain does not
  /// keep the leader from the others.
  private var reportsDue: [MoveReport: Instant] = [:]
  var current: Task?
  var waiting: Deque<Task> = []
  /// Distinguishes the answers to one attempt's dial from those to a later one's.
  var attempt = 0

  var isIdle: Bool { current == nil && waiting.isEmpty }

  static let movePause = Interval.seconds(2)
  /// Two for each of sixteen members.
  private static let maximumReports = 32

  /// Whether it is time to look into a report; if so, not again before the pause is over.
  mutating func mayLook(again report: MoveReport, at now: Instant) -> Bool {
    // Whoever lies may say something else each time.
    reportsDue = reportsDue.filter { now < $0.value }
    guard reportsDue[report] == nil, reportsDue.count < Self.maximumReports else { return false }
    reportsDue[report] = now + Self.movePause
    return true
  }

  /// Whether these addresses wait to be recorded, or are just being looked at.
  func isConcerned(with addresses: Addresses, of member: NodeID) -> Bool {
    func isThis(_ task: Task) -> Bool {
      guard case .update(let update) = task else { return false }
      return update.id == member && update.addresses == addresses
    }
    return current.map(isThis) ?? false || waiting.contains(where: isThis)
  }
}
