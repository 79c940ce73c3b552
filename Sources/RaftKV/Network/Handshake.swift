/// Who may speak to whom: the judgement on a hello, as a function of facts alone.
///
/// What is refused here never reaches the Raft core. What passes still says nothing about
/// membership: unknown ids of our cluster are let in, because a node may have to answer a
/// candidate, or hear a leader, that its own configuration does not hold yet (§6; A8).
package enum Handshake {
  package enum Verdict: Equatable, Sendable {
    case accept
    /// We wait to be joined, and the hello names us as a member of this cluster: make the cluster
    /// ours, durably, and judge again.
    case adopt(ClusterID)
    case refuse(Refusal)
  }

  /// The accepting side's judgement.
  package static func judge(
    _ hello: Hello, local: LocalIdentity, configuration: Configuration
  ) -> Verdict {
    func refuse(_ code: Refusal.Code, _ sentence: String) -> Verdict {
      .refuse(Refusal(code, sentence, by: local))
    }
    if let refusal = strangerRefusal(hello, local: local) { return .refuse(refusal) }
    guard hello.target.name == local.name else {
      return refuse(
        .anotherTarget, "this is node '\(local.name)', not node '\(hello.target.name)'")
    }
    guard hello.target.id == .none || hello.target.id == local.id else {
      return refuse(
        .anotherIncarnation,
        "node '\(local.name)' is incarnation \(local.id) here, not \(hello.target.id): "
          + "its data directory is another one")
    }
    if local.cluster == .none { return judgeWaiting(hello, local: local) }
    guard hello.cluster == local.cluster else {
      return refuse(
        .anotherCluster,
        "node '\(local.name)' belongs to cluster \(local.cluster), not to \(hello.cluster)")
    }
    // The same name twice: the one that was added later is the node; an entry that we do not hold
    // yet may have replaced the one that we know.
    if let known = configuration.member(named: hello.sender.name), known.id != hello.sender.id,
      known.memberSince >= hello.sender.memberSince
    {
      return refuse(
        .replaced,
        "the cluster knows node '\(known.name)' as incarnation \(known.id), not "
          + "\(hello.sender.id): remove it first, then join it anew")
    }
    return .accept
  }

  /// The dialling side's judgement on the answer. `expected` is whom it dialled.
  package static func judge(
    welcome: Hello, expected: Hello.Party, local: LocalIdentity
  ) -> Verdict {
    if let refusal = strangerRefusal(welcome, local: local) { return .refuse(refusal) }
    guard welcome.sender.name == expected.name, welcome.target.id == local.id else {
      return .refuse(
        Refusal(
          .anotherTarget,
          "node '\(welcome.sender.name)' answered where '\(expected.name)' was dialled",
          by: local))
    }
    guard expected.id == .none || welcome.sender.id == expected.id else {
      return .refuse(
        Refusal(
          .anotherIncarnation,
          "node '\(expected.name)' answered as incarnation \(welcome.sender.id), "
            + "not \(expected.id)",
          by: local))
    }
    guard welcome.cluster == local.cluster else {
      return .refuse(
        Refusal(
          .anotherCluster,
          "node '\(expected.name)' answered as a member of cluster \(welcome.cluster)",
          by: local))
    }
    return .accept
  }

  /// What is refused whoever was meant: a language we do not speak, and ourselves.
  private static func strangerRefusal(_ hello: Hello, local: LocalIdentity) -> Refusal? {
    if hello.version > Hello.currentVersion {
      return Refusal(
        .newerProtocol,
        "node '\(local.name)' speaks protocol version \(Hello.currentVersion), "
          + "not \(hello.version)",
        by: local)
    }
    if hello.nonce == local.nonce {
      return Refusal(.selfConnect, "node '\(local.name)' dialled itself", by: local)
    }
    if hello.sender.id == local.id {
      return Refusal(
        .duplicateIdentity,
        "two processes run as incarnation \(local.id): a data directory was copied", by: local)
    }
    return nil
  }

  /// We have no cluster yet. Only one that already counts us as a member may take us; a probe, by
  /// which the leader learns who we are before it adds us, is answered.
  private static func judgeWaiting(_ hello: Hello, local: LocalIdentity) -> Verdict {
    guard hello.cluster != .none else {
      return .refuse(
        Refusal(
          .notJoined, "neither node '\(local.name)' nor its caller is in a cluster", by: local))
    }
    if hello.purpose == .probe { return .accept }
    guard hello.target.id == local.id, hello.target.memberSince > .zero else {
      return .refuse(
        Refusal(
          .notJoined, "node '\(local.name)' waits to be joined, and is no member yet", by: local))
    }
    return .adopt(hello.cluster)
  }
}
