import Testing

@testable import RaftKV

/// Configuration, its history, and its encoding.
@Suite("Configuration, ConfigurationHistory and ConfigurationCoding")
struct ConfigurationTests {
  private func member(_ id: UInt64, _ role: Configuration.Role) -> Configuration.Member {
    Configuration.Member(
      id: NodeID(id), name: "n\(id)", memberSince: LogIndex(1), raftAddress: "h\(id):1",
      httpAddress: "h\(id):2", role: role)
  }

  private var three: Configuration {
    Configuration(members: [member(1, .voter), member(2, .voter), member(3, .learner)])
  }

  @Test("learners count for nothing (D15)")
  func learners() {
    #expect(three.voters == [NodeID(1), NodeID(2)])
    #expect(three.voterCount == 2 && three.quorum == 2)
    #expect(three.contains(NodeID(3)) && !three.isVoter(NodeID(3)))
    #expect(three.member(named: "n3")?.id == NodeID(3) && three.member(NodeID(4)) == nil)
  }

  @Test("one change after the other: each result differs by exactly that (D2)")
  func changes() throws {
    let index = LogIndex(9)
    let added = try three.applying(.add(member(4, .voter)), at: index)
    #expect(added.member(NodeID(4))?.role == .learner, "everybody begins as a learner")
    #expect(added.member(NodeID(4))?.memberSince == index)
    let promoted = try added.applying(.promote(NodeID(4)), at: LogIndex(10))
    #expect(promoted.isVoter(NodeID(4)) && promoted.member(NodeID(4))?.memberSince == index)
    let moved = try promoted.applying(
      .update(NodeID(4), raftAddress: "a:1", httpAddress: "b:1"), at: LogIndex(11))
    #expect(moved.member(NodeID(4))?.raftAddress == "a:1")
    let removed = try moved.applying(.remove(NodeID(4)), at: LogIndex(12))
    #expect(removed == three)
  }

  @Test("what cannot be: strangers, the last voter, one too many")
  func refusals() throws {
    for change in [
      .remove(NodeID(9)), .promote(NodeID(9)),
      .update(NodeID(9), raftAddress: "a:1", httpAddress: "a:2"),
    ] as [Raft.Change] {
      #expect(throws: Raft.Refusal.unknownMember) { try three.applying(change, at: LogIndex(2)) }
    }
    let one = Configuration(members: [member(1, .voter), member(2, .learner)])
    #expect(throws: Raft.Refusal.lastVoter) {
      try one.applying(.remove(NodeID(1)), at: LogIndex(2))
    }
    let full = Configuration(
      members: (1...UInt64(Configuration.maximumMembers)).map { member($0, .voter) })
    #expect(throws: Raft.Refusal.tooManyMembers) {
      try full.applying(.add(member(99, .learner)), at: LogIndex(2))
    }
  }

  @Test("the history goes back by truncation, forward by compaction, and never loses its base (D3)")
  func history() {
    var history = ConfigurationHistory()
    #expect(history.current == .empty && history.previous == nil)
    let steps = (1...4).map { count in
      Configuration(members: (1...UInt64(count)).map { member($0, .voter) })
    }
    for (position, step) in steps.enumerated() {
      history.append(step, at: LogIndex(UInt64(position + 1) * 10))
    }
    #expect(history.currentIndex == LogIndex(40) && history.previous == steps[2])
    #expect(history.item(at: LogIndex(29)).configuration == steps[1])
    #expect(history.item(at: LogIndex(30)).configuration == steps[2])
    let isUnchanged = history.truncate(after: LogIndex(40))
    #expect(!isUnchanged)
    let isChanged = history.truncate(after: LogIndex(39))
    #expect(isChanged && history.current == steps[2])
    history.compact(through: LogIndex(25))
    #expect(history.item(at: LogIndex(25)).configuration == steps[1])
    // Back to what lives on only in the snapshot.
    _ = history.truncate(after: LogIndex(25))
    #expect(history.current == steps[1] && history.previous == nil)
  }

  @Test("what is encoded comes back; nothing shorter or longer does")
  func coding() throws {
    var bytes = ByteBuffer()
    var configuration = three
    configuration.featureLevel = 7
    configuration.encode(into: &bytes)
    let encoded = Array(bytes.readable)
    #expect(encoded.count == configuration.encodedSize)
    func decode(_ bytes: some Sequence<UInt8>) -> Configuration? {
      Array(bytes).withUnsafeBytes { Configuration(decoding: $0) }
    }
    #expect(decode(encoded) == configuration)
    for count in 0..<encoded.count {
      #expect(decode(encoded.prefix(count)) == nil, "cut after \(count)")
    }
    #expect(decode(encoded + [0]) == nil)
  }
}
