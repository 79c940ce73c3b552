/// Leadership transfer (dissertation §3.10), and giving the leadership away
/// when the disk is in trouble.
extension Raft {
  /// Hands the leadership to `target`, or to the most advanced healthy voter. New proposals are
  /// refused meanwhile; after one election timeout without success they are accepted again (E1).
  /// Returns whether a hand-over has begun or is under way.
  @discardableResult
  package mutating func transferLeadership(
    to target: NodeID? = nil, at now: Instant, into effects: inout Effects
  ) -> Bool {
    guard let leadership else { return false }
    if let transfer = leadership.transfer { return target == nil || transfer.target == target }
    guard let target = target ?? bestSuccessor(at: now), target != id,
      configuration.isVoter(target)
    else { return false }
    // From here on there is no lease, before TimeoutNow can leave (E2).
    self.leadership!.transfer = Leadership.Transfer(
      target: target, deadline: now + parameters.electionTimeout)
    effects.notices.append(.transferStarted(to: target))
    sendTimeoutNowIfCaughtUp()
    if !self.leadership!.transfer!.isTimeoutNowSent { CoverageMark.hit(.transferWaits) }
    return true
  }

  /// The voter that needs the least to take over: heard from lately, with room on its disk. Those
  /// that were asked in vain come after the others, for we hear them and the rest may not: a leader
  /// that has to go would hand over to the same one again and again, and each time the cluster has
  /// no leader for a while. Once all were asked, it begins with the best again.
  private mutating func bestSuccessor(at now: Instant) -> NodeID? {
    let candidates = leadership!.progress.filter {
      configuration.isVoter($0.id) && !$0.isFull && $0.isConnected
        && now - $0.lastContact <= parameters.electionTimeout
    }
    if candidates.allSatisfy({ askedInVain.contains($0.id) }) { askedInVain.removeAll() }
    let unasked = candidates.filter { !askedInVain.contains($0.id) }
    return unasked.max { ($0.matchIndex, $1.id) < ($1.matchIndex, $0.id) }?.id
  }

  /// A leader without room stays only for want of a successor, so it looks for one again. An
  /// attempt that fails has held up deletes for an election timeout: the next one waits for ten.
  mutating func offerLeadershipIfFull(at now: Instant, into effects: inout Effects) {
    guard role == .leader, storage == .full, leadership!.transfer == nil,
      now >= leadership!.offerDue
    else { return }
    if transferLeadership(at: now, into: &effects) {
      leadership!.offerDue = now + parameters.electionTimeout * 10
    }
  }

  /// The target must have everything. A healthy leader also waits until all of it is committed and
  /// on its own disk: then every client that it took a write from has its answer before the term
  /// ends. Where its disk is why it goes, that might take for ever.
  mutating func sendTimeoutNowIfCaughtUp() {
    guard let transfer = leadership!.transfer, !transfer.isTimeoutNowSent,
      leadership!.progress(of: transfer.target)?.matchIndex == lastIndex,
      storage != .healthy || applicableIndex == lastIndex
    else { return }
    leadership!.transfer!.isTimeoutNowSent = true
    leadership!.isLeaseForfeited = true
    askedInVain.append(transfer.target)
    send(.timeoutNow, to: transfer.target)
  }

  mutating func abortTransferIfLate(at now: Instant, into effects: inout Effects) {
    guard role == .leader, let transfer = leadership!.transfer, now >= transfer.deadline else {
      return
    }
    #if PLANTED_BUGS
    if PlantedBug.transferNeverAborted.isActive {
      leadership!.transfer!.deadline = .distantFuture
      return
    }
    #endif
    CoverageMark.hit(.transferTooLate)
    if !askedInVain.contains(transfer.target) { askedInVain.append(transfer.target) }
    leadership!.transfer = nil
    effects.notices.append(.transferAborted(to: transfer.target))
    // A leader that cannot write must not go on as if it could.
    if storage == .hung {
      become(.follower, in: currentTerm, because: .diskHung, at: now, into: &effects)
    }
  }

  /// The driver tells how the disk fares. Full: lead only if nobody else
  /// can. Hung: do not lead at all.
  package mutating func setStorage(
    _ health: StorageHealth, at now: Instant, into effects: inout Effects
  ) {
    guard health != storage else { return }
    storage = health
    stopCampaigning(at: now, into: &effects)
    guard role == .leader, health != .healthy else { return }
    CoverageMark.hit(health == .full ? .leaderIsFull : .leaderHangs)
    let isHandedOver = transferLeadership(at: now, into: &effects)
    if health == .hung, !isHandedOver {
      become(.follower, in: currentTerm, because: .diskHung, at: now, into: &effects)
    }
  }
}
