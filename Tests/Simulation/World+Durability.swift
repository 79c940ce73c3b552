import RaftKV

/// What is durable, by the disk model and not by what the nodes believe.
extension World {
  /// A majority of a configuration by which an entry may be committed has it on its disks.
  func checkOnDisks(_ id: EntryID, _ configurations: [Configuration]) {
    let disks = hosts.map { ($0.promise.node, $0.disk.durableLog) } + lostLogs
    let holders = disks.filter { $0.1.holds(id.index, id.term) }.map(\.0)
    guard !configurations.contains(where: { Self.isMajority(holders, of: $0.voters) }) else {
      return
    }
    fail(.durability, "\(id) is committed, and only \(holders.count) disks have it")
  }

  /// A follower acknowledges what its disk has, and what is its leader's (B3, G1).
  func checkAcknowledgement(_ match: LogIndex, _ host: Host) {
    guard match > .zero, let process = host.process else { return }
    if host.disk.durableLog.holds(match, term(of: match, in: process)) { return }
    fail(.durability, "\(host.name) acknowledges \(match), which is not on its disk")
  }

  /// What a node has compacted is committed.
  private func term(of index: LogIndex, in process: Process) -> Term? {
    if let term = process.replica.raft.outline.term(at: index) { return term }
    let position = Int(index.rawValue) - 1
    return checker.committed.indices.contains(position) ? checker.committed[position].term : nil
  }

  func observeDisk(_ host: Host) {
    guard let name = host.disk.removedTooEarly else { return }
    fail(.durability, "\(host.name) removed \(name), and no snapshot covers it")
  }

  /// A start leaves nothing behind the log's end: once something is written there, what is left of
  /// an earlier write would stand behind it, and pass for damage (G6).
  func checkTail(_ host: Host) {
    guard let last = host.disk.durableLog.lastBatch, let current = host.disk.name(of: last.segment)
    else { return }
    // Its own segment, and those that come after it.
    for name in host.disk.names
    where name.hasPrefix(SimulatedDisk.segmentPrefix) && name.count == current.count
      && name >= current
    {
      let end = name == current ? last.range.upperBound : SimulatedFile.sectorSize
      guard host.disk.contents(of: name).dropFirst(end).contains(where: { $0 != 0 }) else {
        continue
      }
      fail(.recovery, "\(host.name) starts, and there is something behind the log's end in \(name)")
    }
  }

  /// A leader believes of nobody's disk more than what is on it. Whoever went on to a later term
  /// may have dropped it since, and is believed no more.
  func observeProgress(_ host: Host, _ process: Process) {
    guard process.replica.raft.role == .leader else { return }
    let term = process.replica.raft.currentTerm
    for other in hosts where other !== host {
      guard
        let match = process.replica.raft.matchIndex(of: other.promise.node),
        match != process.seenMatch[other.index]
      else { continue }
      process.seenMatch[other.index] = match
      guard match > .zero, other.disk.durableHardState?.term ?? .zero <= term else { continue }
      if other.disk.durableLog.holds(match, self.term(of: match, in: process)) { continue }
      fail(
        .matchIndex,
        "\(host.name) believes \(other.name) has \(match), its disk ends at "
          + "\(other.disk.durableLog.last)")
    }
  }
}
