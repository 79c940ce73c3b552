/// The replica's part of `/metrics`.
extension Replica {
  func appendMetrics(to text: inout MetricsText) {
    appendRole(to: &text)
    appendIndexes(to: &text)
    appendStages(to: &text)
    appendPeers(to: &text)
    appendSizes(to: &text)
  }

  private func appendRole(to text: inout MetricsText) {
    text.begin("raftkvd_role", .gauge, "1 for the part this node plays, 0 for the others.")
    let role = roleDescription
    for name in [
      "leader", "follower", "learner", "candidate", "preCandidate", "waiting", "removed",
    ] {
      text.sample(name == role ? 1 : 0, [("role", name)])
    }
    text.add("raftkvd_term", .gauge, "The current term.", raft.currentTerm.rawValue)
    text.add(
      "raftkvd_has_leader", .gauge, "1 if clients are served here or sent to a leader.",
      isSettled ? 1 : 0)
    var isReady: UInt64 = 0
    if case .healthy = readiness(.leaseBound) { isReady = 1 }
    text.add("raftkvd_ready", .gauge, "1 if /readyz answers 200.", isReady)
    text.begin("raftkvd_members", .gauge, "Members of the configuration, by role.")
    for role in [Configuration.Role.voter, .learner] {
      let count = raft.configuration.members.count { $0.role == role }
      text.sample(UInt64(count), [("role", role.description)])
    }
    text.add(
      "raftkvd_pre_votes_total", .counter, "Pre-votes begun by this node.", metrics.preVotes)
    text.add(
      "raftkvd_elections_total", .counter, "Elections begun by this node.", metrics.elections)
    text.add(
      "raftkvd_elections_won_total", .counter, "Elections won by this node.", metrics.electionsWon)
    text.add(
      "raftkvd_leader_changes_total", .counter, "Leaders that this node came to know.",
      metrics.leaderChanges)
    text.add(
      "raftkvd_step_downs_total", .counter, "Times this node gave up its leadership.",
      metrics.stepDowns)
  }

  private func appendIndexes(to text: inout MetricsText) {
    text.add(
      "raftkvd_log_last_index", .gauge, "Index of the last entry in the log.",
      raft.lastIndex.rawValue)
    text.add(
      "raftkvd_log_persisted_index", .gauge, "Index of the last entry on this node's disk.",
      raft.persistedIndex.rawValue)
    text.add(
      "raftkvd_commit_index", .gauge, "Index of the last entry known to be committed.",
      raft.commitIndex.rawValue)
    text.add(
      "raftkvd_applied_index", .gauge, "Index of the last entry in the map.",
      appliedIndex.rawValue)
    text.add(
      "raftkvd_applied_entries_total", .counter, "Entries applied to the map since the start.",
      metrics.appliedEntries)
  }

  private func appendStages(to text: inout MetricsText) {
    text.begin(
      "raftkvd_write_stage_duration_seconds", .histogram,
      """
      Writes on the leader by stage: queue from arrival to hand-over, persist until durable here, \
      replicate until committed, both from hand-over, apply until answered.
      """)
    let stages = metrics.writes
    text.sample(stages.queue, [("stage", "queue")])
    text.sample(stages.persist, [("stage", "persist")])
    text.sample(stages.replicate, [("stage", "replicate")])
    text.sample(stages.apply, [("stage", "apply")])
    text.begin(
      "raftkvd_read_confirm_duration_seconds", .histogram,
      "Reads that needed a quorum's confirmation, from arrival to answer.")
    text.sample(metrics.confirm)
    text.begin(
      "raftkvd_fsync_duration_seconds", .histogram,
      "Synchronous writes (O_DSYNC), from submission to completion.")
    text.sample(log.writeTimes, [("file", "log")])
    text.sample(hardStateStore.writeTimes, [("file", "hard_state")])
    text.add(
      "raftkvd_pending_writes", .gauge, "Writes waiting to be committed and applied.",
      UInt64(writes.count))
    text.add(
      "raftkvd_pending_reads", .gauge, "Reads waiting for a quorum's confirmation.",
      UInt64(reads.count))
    text.add(
      "raftkvd_held_requests", .gauge, "Requests held until a leader is known.",
      UInt64(heldCount))
  }

  private func appendPeers(to text: inout MetricsText) {
    metrics.keepPeers { raft.configuration.contains($0) }
    let peers = raft.configuration.members.filter { $0.id != raft.id }
    text.begin("raftkvd_peer_connected", .gauge, "1 if messages can be exchanged with the member.")
    for peer in peers {
      text.sample(transport.isConnected(peer.id) ? 1 : 0, [("peer", peer.name)])
    }
    text.begin(
      "raftkvd_peer_lag_entries", .gauge, "On the leader: entries that a member does not have yet.")
    for peer in peers {
      guard let progress = raft.leadership?.progress(of: peer.id) else { continue }
      text.sample(UInt64(raft.lastIndex - progress.matchIndex), [("peer", peer.name)])
    }
    text.begin(
      "raftkvd_peer_last_contact_seconds", .gauge,
      "On the leader: time since anything came from a member.")
    for peer in peers {
      guard let progress = raft.leadership?.progress(of: peer.id) else { continue }
      text.sample(seconds: now - progress.lastContact, [("peer", peer.name)])
    }
    text.begin(
      "raftkvd_peer_round_trip_seconds", .histogram,
      "On the leader: heartbeats, from sending to the answer.")
    for times in metrics.peers {
      text.sample(times.roundTrip, [("peer", nameOf(times.id))])
    }
    if let contact = raft.lastLeaderContact, raft.role != .leader {
      text.begin(
        "raftkvd_leader_last_contact_seconds", .gauge, "Time since this node heard its leader.")
      text.sample(seconds: now - contact)
    }
  }

  private func appendSizes(to text: inout MetricsText) {
    text.add(
      "raftkvd_log_entries", .gauge, "Entries kept in the log.", UInt64(raft.outline.count))
    text.add(
      "raftkvd_log_bytes_since_snapshot", .gauge, "Bytes of log since the last snapshot.",
      log.bytesSinceSnapshot)
    text.add(
      "raftkvd_log_memory_bytes", .gauge, "Bytes of log held in memory.", UInt64(log.memoryBytes))
    text.add("raftkvd_map_keys", .gauge, "Keys in the map.", UInt64(store.count))
    text.add(
      "raftkvd_map_bytes", .gauge, "Bytes of keys and values in the map.", UInt64(store.bytes))
    text.add(
      "raftkvd_snapshot_index", .gauge, "Index of the last entry in the newest snapshot.",
      raft.snapshot?.lastEntry.index.rawValue ?? 0)
    text.add(
      "raftkvd_snapshot_bytes", .gauge, "Size of the newest snapshot.", raft.snapshot?.total ?? 0)
    text.add(
      "raftkvd_snapshots_taken_total", .counter, "Snapshots written by this node.",
      metrics.snapshotsTaken)
    text.add(
      "raftkvd_snapshots_installed_total", .counter, "Snapshots received from a leader.",
      metrics.snapshotsInstalled)
    text.add(
      "raftkvd_snapshots_sent_total", .counter, "Snapshots begun to be sent to a member.",
      metrics.snapshotsSent)
    text.begin("raftkvd_disk", .gauge, "1 for the state of the data directory's disk.")
    for state in [Raft.StorageHealth.healthy, .full, .hung] {
      text.sample(raft.storage == state ? 1 : 0, [("state", "\(state)")])
    }
  }
}
