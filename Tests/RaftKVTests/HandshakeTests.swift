import Testing

@testable import RaftKV

@Suite("Handshake")
struct HandshakeTests {
  private let local = LocalIdentity.sample(2)
  private let caller = LocalIdentity.sample(1)
  private let members = Configuration(members: [.sample(1), .sample(2)])

  private func hello(_ change: (inout Hello) -> Void = { _ in }) -> Hello {
    let target = Hello.Party(name: "n2", id: NodeID(2), memberSince: LogIndex(2))
    var hello = Hello(from: caller, to: target, purpose: .messages)
    change(&hello)
    return hello
  }

  private func code(_ verdict: Handshake.Verdict) -> Refusal.Code? {
    if case .refuse(let refusal) = verdict { return refusal.code }
    return nil
  }

  private func code(_ change: (inout Hello) -> Void) -> Refusal.Code? {
    code(Handshake.judge(hello(change), local: local, configuration: members))
  }

  @Test("members and unknown ids of our cluster pass")
  func accepted() {
    #expect(code { _ in } == nil)
    #expect(code { $0.sender = Hello.Party(name: "n9", id: NodeID(9)) } == nil)
    #expect(code { $0.target.id = .none } == nil)
  }

  @Test("everybody else is refused, with the code that says why")
  func refused() {
    #expect(code { $0.version += 1 } == .newerProtocol)
    #expect(code { $0.nonce = self.local.nonce } == .selfConnect)
    #expect(code { $0.sender.id = self.local.id } == .duplicateIdentity)
    #expect(code { $0.target.name = "n3" } == .anotherTarget)
    #expect(code { $0.target.id = NodeID(77) } == .anotherIncarnation)
    #expect(code { $0.cluster = ClusterID(6) } == .anotherCluster)
    #expect(code { $0.cluster = .none } == .anotherCluster)
  }

  @Test("in a mixed cluster: features we do not know pass, and so does what follows a hello")
  func mixedVersions() throws {
    #expect(code { $0.features = .max } == nil)
    #expect(code { $0.version = 0 } == nil, "an older one that we still speak")
    var frame = ByteBuffer()
    let newer = hello { $0.features = 1 << 63 }
    frame.appendFrame(.hello, newer)
    let body = Array(frame.readable.suffix(from: FrameCodec.headerSize)) + [1, 2, 3]
    let decoded = body.withUnsafeBytes { Hello(decoding: $0) }
    #expect(decoded == newer)
  }

  @Test("a protocol that is newer than ours is refused with a sentence that names both")
  func downgrade() throws {
    let verdict = Handshake.judge(
      hello { $0.version = Hello.currentVersion + 1 }, local: local, configuration: members)
    guard case .refuse(let refusal) = verdict else {
      Issue.record("it was not refused")
      return
    }
    #expect(
      refusal.sentence.contains(
        "speaks protocol version \(Hello.currentVersion), not \(Hello.currentVersion + 1)"))
  }

  @Test("a known name with another incarnation passes only if it was added later (D9)")
  func incarnations() {
    for (since, expected) in [(0, Refusal.Code.replaced), (1, .replaced), (5, nil)] {
      let party = Hello.Party(name: "n1", id: NodeID(99), memberSince: LogIndex(UInt64(since)))
      #expect(code { $0.sender = party } == expected)
    }
  }

  @Test("a waiting node adopts only the cluster that names it, incarnation and all, as a member")
  func waiting() {
    var waiting = local
    waiting.cluster = .none
    func judge(_ change: (inout Hello) -> Void) -> Handshake.Verdict {
      Handshake.judge(hello(change), local: waiting, configuration: .empty)
    }
    #expect(judge { _ in } == .adopt(ClusterID(5)))
    #expect(judge { $0.purpose = .probe } == .accept)
    #expect(code(judge { $0.target.memberSince = .zero }) == .notJoined)
    #expect(code(judge { $0.target.id = .none }) == .notJoined)
    #expect(code(judge { $0.cluster = .none }) == .notJoined)
    #expect(code(judge { $0.target.id = NodeID(3) }) == .anotherIncarnation)
  }

  @Test("the dialler refuses an answer from anybody but the one it dialled")
  func welcomes() {
    let expected = Hello.Party(name: "n2", id: NodeID(2), memberSince: LogIndex(2))
    let us = Hello.Party(name: "n1", id: NodeID(1))
    func judge(_ change: (inout Hello) -> Void) -> Refusal.Code? {
      var welcome = Hello(from: local, to: us, purpose: .messages)
      change(&welcome)
      return code(Handshake.judge(welcome: welcome, expected: expected, local: caller))
    }
    #expect(judge { _ in } == nil)
    #expect(judge { $0.sender.name = "n3" } == .anotherTarget)
    #expect(judge { $0.sender.id = NodeID(3) } == .anotherIncarnation)
    #expect(judge { $0.cluster = ClusterID(6) } == .anotherCluster)
    #expect(judge { $0.nonce = self.caller.nonce } == .selfConnect)
  }
}

extension LocalIdentity {
  static func sample(_ number: UInt64) -> LocalIdentity {
    LocalIdentity(
      cluster: ClusterID(5), name: "n\(number)", id: NodeID(number),
      memberSince: LogIndex(number), nonce: 1000 + number, raftAddress: "host\(number):1",
      httpAddress: "host\(number):2")
  }
}

extension Configuration.Member {
  static func sample(_ number: UInt64) -> Configuration.Member {
    Configuration.Member(
      id: NodeID(number), name: "n\(number)", memberSince: LogIndex(number),
      raftAddress: "host\(number):1", httpAddress: "host\(number):2", role: .voter)
  }
}
