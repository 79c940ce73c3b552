/// What a client asks for, in bytes borrowed from its connection: valid only during the call they
/// are passed in. HTTP makes these; the simulator makes them too, without HTTP.
package enum ClientRequest {
  case get(key: UnsafeRawBufferPointer, level: ReadLevel)
  case put(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)
  case delete(key: UnsafeRawBufferPointer)
  case join(name: String, raftAddress: String, httpAddress: String?)
  case remove(name: String, force: Bool)
  case status
  /// Does the loop turn?
  case live
  /// Should this node be asked? `level` is `stale` for reads of that level, `default` for all else.
  case ready(level: ReadLevel)
  case metrics

  var kind: RequestKind {
    switch self {
    case .get(_, .leaseBound): .getDefault
    case .get(_, .stale): .getStale
    case .get(_, .consistent): .getConsistent
    case .put: .put
    case .delete: .delete
    case .join: .join
    case .remove: .remove
    case .status: .status
    case .live: .live
    case .ready: .ready
    case .metrics: .metrics
    }
  }
}

package enum ReadLevel: UInt8, Sendable {
  /// On the leader under its lease: stale by at most the lease.
  case leaseBound
  /// Anywhere, from local state.
  case stale
  /// Linearizable: leadership confirmed by a quorum round begun after arrival.
  case consistent
}

/// Names one request until it is answered: which connection, and the how-manieth of it.
package struct RequestToken: Hashable, Sendable {
  package var connection: UInt32
  /// Distinguishes the connections that used the same slot one after another (I8).
  package var generation: UInt32
  package var sequence: UInt32
  package init(connection: UInt32, generation: UInt32, sequence: UInt32) {
    self.connection = connection
    self.generation = generation
    self.sequence = sequence
  }
}

/// What becomes of a request at once.
package enum Disposition {
  case reply(Reply)
  /// The reply comes later, through `ReplySink`.
  case pending
  /// Leadership is moving: keep the request's bytes, stop reading, and offer it again when told to.
  case hold
}

package enum Reply {
  case value(Entry, Staleness?)
  case notFound(Staleness?)
  case written(LogIndex)
  case deleted(LogIndex, existed: Bool)
  case joined(Configuration.Member)
  case removed(name: String, at: LogIndex)
  /// Indirect: the one large payload must not widen every waiting reply.
  indirect case status(Status)
  /// What a load balancer or a supervisor wants to hear, with the reason.
  case healthy(status: StaticString, reason: String)
  /// Prometheus' text format.
  case metrics([UInt8])
  /// Not accepted here: the leader's name and replicated HTTP address.
  case redirect(leader: String, address: String)
  case failure(Failure)
}

extension Reply {
  /// The status code that it is sent with.
  var status: Int {
    switch self {
    case .value, .written, .deleted, .joined, .removed, .status, .healthy, .metrics: 200
    case .notFound: 404
    case .redirect: 307
    case .failure(let failure): failure.status
    }
  }
}

/// How old a stale read may be.
package struct Staleness: Equatable, Sendable {
  /// Milliseconds since this node last heard from a leader; 0 on the leader; nil if never.
  package var lastContact: Int?
  package var appliedIndex: LogIndex
  package init(lastContact: Int?, appliedIndex: LogIndex) {
    self.lastContact = lastContact
    self.appliedIndex = appliedIndex
  }
}

/// An error as the client sees it: `{"error":code,"message":message}`.
package struct Failure: Error, Equatable, Sendable {
  package var status: Int
  package var code: String
  package var message: String
  /// Seconds, for 503 and 429.
  package var retryAfter: Int?
  /// For 405, and for the 204 to OPTIONS: what the path does answer to.
  package var allowed: MethodSet?
  package init(
    status: Int, code: String, message: String, retryAfter: Int? = nil, allowed: MethodSet? = nil
  ) {
    self.status = status
    self.code = code
    self.message = message
    self.retryAfter = retryAfter
    self.allowed = allowed
  }
}

/// Where replies to pending requests go.
package protocol ReplySink: AnyObject {
  func reply(_ reply: Reply, to token: RequestToken)
  /// Leadership is settled, or the wait is over: offer every held request again.
  func resumeHeldRequests()
}

/// `/status`, as data.
package struct Status: Sendable {
  package struct Member: Equatable, Sendable {
    package var member: Configuration.Member
    package var matchIndex: LogIndex?
    package var lastContact: Int?
    package init(member: Configuration.Member, matchIndex: LogIndex?, lastContact: Int?) {
      self.member = member
      self.matchIndex = matchIndex
      self.lastContact = lastContact
    }
  }
  package var version: String
  package var clusterID: ClusterID
  package var name: String
  /// leader, follower, preCandidate, candidate, learner, waiting or removed.
  package var role: String
  package var term: Term
  package var leader: (name: String, httpAddress: String)?
  package var lastIndex: LogIndex
  package var commitIndex: LogIndex
  package var appliedIndex: LogIndex
  package var stateHash: StateHash
  package var uptime: Interval
  package var members: [Member]

  package init(
    version: String, clusterID: ClusterID, name: String, role: String, term: Term,
    leader: (name: String, httpAddress: String)?, lastIndex: LogIndex, commitIndex: LogIndex,
    appliedIndex: LogIndex, stateHash: StateHash, uptime: Interval, members: [Member]
  ) {
    self.version = version
    self.clusterID = clusterID
    self.name = name
    self.role = role
    self.term = term
    self.leader = leader
    self.lastIndex = lastIndex
    self.commitIndex = commitIndex
    self.appliedIndex = appliedIndex
    self.stateHash = stateHash
    self.uptime = uptime
    self.members = members
  }
}
