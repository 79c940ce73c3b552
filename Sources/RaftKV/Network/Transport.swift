/// The seam between the replica and the other nodes. Production is `PeerTransport`; the simulator
/// has its own. Nothing calls the delegate from inside these functions.
package protocol Transport: AnyObject {
  /// The members to talk to, without ourselves. Connections to others are dropped after a grace, in
  /// which a node that was removed may still be told so.
  func setPeers(_ peers: [Peer])
  /// Queues one message, or drops it where there is no connection: Raft repeats what matters.
  /// `payload`, the records of an append or a chunk's bytes, is copied before this returns.
  func send(_ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer)
  func isConnected(_ peer: NodeID) -> Bool
  /// Bytes queued for this peer that the kernel has not taken yet.
  func queuedBytes(_ peer: NodeID) -> Int
  /// Fast failover: dials the peer at once, for `didProbe` to tell whether its process lives. Only
  /// where the peer itself says that it listens: that nobody does where it was before a move says
  /// nothing of it (C7, D12).
  func probe(_ peer: NodeID)
  /// What this peer says cannot be: its connections are closed, and it is dialled again only after
  /// the longest wait.
  func hangUp(on peer: NodeID)
  /// Our addresses are others than we have said: all connections are made anew, with a new hello.
  func greetAnew()
  /// What this peer said in its hello counts only now: its connection is made anew, with another.
  func askAgain(_ peer: NodeID)
  /// Dials an address to learn who is there; the answer comes within three seconds, exactly once.
  func discover(
    address: String, name: String,
    completion: @escaping (Result<PeerDescription, DiscoveryFailure>) -> Void)
  /// The end of a turn: what was queued is written, one write per peer.
  func flush()
}

/// What the transport tells, and asks of, its owner.
package protocol TransportDelegate: AnyObject {
  /// The payload is borrowed for the duration of the call.
  func didReceive(
    _ envelope: Envelope, report: StateHashReport?, payload: UnsafeRawBufferPointer)
  /// Messages can be exchanged. After a replaced connection `didDisconnect` came before.
  func didConnect(_ peer: NodeID, hello: Hello)
  /// What was queued or on its way may be lost.
  func didDisconnect(_ peer: NodeID)
  func didProbe(_ peer: NodeID, _ outcome: ProbeOutcome)
  /// A frame is coming in and not whole yet: its sender lives.
  func didReceivePartialFrame(from peer: NodeID)

  var localIdentity: LocalIdentity { get }
  var configuration: Configuration { get }
  /// Makes the cluster ours, durably, and says whether it worked.
  func adopt(_ cluster: ClusterID, then completion: @escaping (Bool) -> Void)
  /// Somebody dialled us and was refused. The hello may say that a cluster counts on another
  /// incarnation under our name: a wiped disk.
  func didRefuse(_ hello: Hello, _ refusal: Refusal)
  /// We dialled this member and were refused, or somebody else answered.
  func didMeetRefusal(from peer: NodeID, _ refusal: Refusal)
}

/// A member to talk to.
package struct Peer: Equatable, Sendable {
  package var id: NodeID
  package var name: String
  package var memberSince: LogIndex
  /// `host:port`; the host is resolved anew for every connection (J4).
  package var raftAddress: String

  package init(id: NodeID, name: String, memberSince: LogIndex, raftAddress: String) {
    self.id = id
    self.name = name
    self.memberSince = memberSince
    self.raftAddress = raftAddress
  }

  package init(_ member: Configuration.Member) {
    self.init(
      id: member.id, name: member.name, memberSince: member.memberSince,
      raftAddress: member.raftAddress)
  }
}

/// What a probe found out.
package enum ProbeOutcome: Equatable, Sendable {
  /// Nobody listens there: the process is gone.
  case refused
  /// Another process than the one we were connected to: that one is gone.
  case otherProcess
  case sameProcess
  /// Nobody answered in time, or the connection broke before anybody did: a process that is being
  /// torn down may close its connections a little before its port. Or another process has connected
  /// with us meanwhile.
  case undecided

  /// A probe is about the process that we knew when we asked, and says nothing of one that has come
  /// since: that may lead us, and its lease rests on our word (C7).
  ///
  /// - Parameters:
  ///   - asked: what the process said that the probe is about
  ///   - latest: what the one said that we were connected with last
  ///   - answer: the nonce of the process that answered; nil where nobody listens
  package init(of asked: Hello, latest: Hello?, answer: UInt64?) {
    var isOfToday = asked.nonce == latest?.nonce
    #if PLANTED_BUGS
    isOfToday = isOfToday || PlantedBug.probeOutlivesProcess.isActive
    #endif
    guard isOfToday else {
      CoverageMark.hit(.probeOfFormerProcess)
      self = .undecided
      return
    }
    guard let answer else {
      self = .refused
      return
    }
    self = answer == asked.nonce ? .sameProcess : .otherProcess
  }
}

/// Who answered at an address.
package struct PeerDescription: Equatable, Sendable {
  package var cluster: ClusterID
  package var name: String
  package var id: NodeID
  package var memberSince: LogIndex
  package var raftAddress: String
  package var httpAddress: String
  package var features: UInt64

  package init(_ hello: Hello) {
    cluster = hello.cluster
    name = hello.sender.name
    id = hello.sender.id
    memberSince = hello.sender.memberSince
    raftAddress = hello.raftAddress
    httpAddress = hello.httpAddress
    features = hello.features
  }
}

package enum DiscoveryFailure: Error, Equatable, Sendable, CustomStringConvertible {
  /// The address is none, or its name does not resolve.
  case unresolvable(String)
  case unreachable(String)
  case refused(Refusal)
  /// Something listens there, but it does not speak our protocol.
  case notAPeer(String)
  case timedOut

  package var description: String {
    switch self {
    case .unresolvable(let reason): "the address cannot be resolved: \(reason)"
    case .unreachable(let reason): "no connection: \(reason)"
    case .refused(let refusal): refusal.sentence
    case .notAPeer(let reason): "no raftkvd peer answers there: \(reason)"
    case .timedOut: "no answer in time"
    }
  }
}
