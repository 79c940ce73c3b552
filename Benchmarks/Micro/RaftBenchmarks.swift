import RaftKV

/// The engine alone: from a proposal to its commitment, with disks and wires that take no time.
enum RaftBenchmarks {
  static func run(_ measurement: Measurement) {
    for count in [1, 3] {
      for batch in [1, 64] {
        let cluster = EngineCluster(of: count)
        let name = "raft, \(count) node\(count > 1 ? "s" : ""), \(batch) a turn"
        measurement.measure(name, operations: 64_000) { count in
          for _ in 0..<count / batch { cluster.commit(batch) }
        }
      }
    }
  }
}

/// Engines that hear one another at once, each with a disk that is done at once. Time stands still
/// once there is a leader, so nothing but the entries is sent.
final class EngineCluster {
  private final class Member {
    var raft: Raft
    var effects = Effects()
    init(_ raft: consuming Raft) { self.raft = raft }
  }

  private static let payload = 160
  private var members: [Member] = []
  private var now = Instant(nanoseconds: 1_000_000_000)
  private var leader = 0

  init(of count: Int) {
    let configuration = Configuration(
      members: (1...count).map { number in
        Configuration.Member(
          id: NodeID(UInt64(number)), name: "node\(number)", memberSince: LogIndex(1),
          raftAddress: "h\(number):1", httpAddress: "h\(number):2", role: .voter)
      })
    let recovered = Raft.Recovered(
      hardState: HardState(currentTerm: Term(1)),
      entries: [
        EntryHeader(
          term: Term(1), kind: .configuration, size: UInt32(Self.payload),
          configuration: configuration)
      ])
    members = configuration.members.map { member in
      Member(
        Raft(
          id: member.id, parameters: Parameters(), recovered: recovered,
          seed: member.id.rawValue, at: now))
    }
    for member in members {
      for peer in configuration.members where peer.id != member.raft.id {
        member.raft.didConnect(peer.id, at: now)
      }
    }
    elect()
  }

  private func elect() {
    while true {
      if let found = members.firstIndex(where: { $0.raft.hasCommittedInTerm }) {
        leader = found
        return
      }
      let next = members.min { $0.raft.deadline < $1.raft.deadline }!
      now = max(now, next.raft.deadline)
      next.raft.deadlinePassed(at: now, into: &next.effects)
      settle()
    }
  }

  /// Proposes so many entries in one turn, and returns when they are committed.
  func commit(_ count: Int) {
    let member = members[leader]
    for _ in 0..<count { keep(try? member.raft.propose(size: Self.payload)) }
    settle()
    precondition(member.raft.commitIndex == member.raft.lastIndex, "what all have is committed")
  }

  /// Turns of all members until nobody has anything to do.
  private func settle() {
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      for member in members {
        member.raft.flush(at: now, into: &member.effects)
        if !member.effects.isEmpty { isQuiet = false }
        perform(member)
      }
    }
  }

  private func perform(_ member: Member) {
    let effects = member.effects
    member.effects = Effects()
    if let state = effects.hardState {
      member.raft.didPersistHardState(state, at: now, into: &member.effects)
    }
    if let ticket = effects.logWrite {
      member.raft.didPersist(ticket: ticket, at: now, into: &member.effects)
    }
    for envelope in effects.messages { deliver(envelope) }
  }

  private func deliver(_ envelope: Envelope) {
    var envelope = envelope
    if case .append(var request) = envelope.message {
      // The driver's part: what the receiver reads of the entries' records.
      let header = EntryHeader(
        term: envelope.term, kind: .command, size: UInt32(Self.payload))
      request.entries = Array(repeating: header, count: request.count)
      envelope.message = .append(request)
    }
    let target = members[Int(envelope.to.rawValue) - 1]
    target.raft.receive(envelope, at: now, into: &target.effects)
  }
}
