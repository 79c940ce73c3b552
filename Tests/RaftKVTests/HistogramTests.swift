import Testing

@testable import RaftKV

@Suite("Histograms")
struct HistogramTests {
  @Test("each duration is counted in the first bucket whose bound it does not exceed")
  func buckets() {
    for nanoseconds: UInt64 in [
      0, 1, 1024, 1025, 2048, 2049, 999_999, 1 << 33, (1 << 33) + 1, .max,
    ] {
      let histogram = Histogram()
      histogram.observe(Interval(nanoseconds: nanoseconds))
      let expected = (0..<Histogram.boundCount).first {
        nanoseconds <= Histogram.bound($0).nanoseconds
      }
      #expect(histogram.counts[expected ?? Histogram.boundCount] == 1, "\(nanoseconds)")
      #expect(histogram.counts.reduce(0, +) == 1 && histogram.sum == nanoseconds)
    }
  }

  @Test("a batch counts as often as it has members")
  func weights() {
    let histogram = Histogram()
    histogram.observe(.microseconds(3), times: 7)
    histogram.observe(.microseconds(1), times: 0)
    #expect(histogram.count == 7 && histogram.sum == 21_000 && histogram.counts[2] == 7)
  }
}

@Suite("Stages of writes")
struct WriteStagesTests {
  @Test("each stage of a batch is measured from the end of the one before it")
  func stages() {
    var stages = WriteStages()
    stages.didPropose(LogIndex(5), at: at(0))
    stages.didPropose(LogIndex(6), at: at(1))
    stages.didHandOver(ticket: 1, at: at(2))
    stages.didPropose(LogIndex(7), at: at(3))
    stages.didHandOver(ticket: 2, at: at(3))
    stages.didHandOver(ticket: 3, at: at(3))
    // Followers were faster than our own disk.
    stages.didCommit(through: LogIndex(6), at: at(12))
    stages.didPersist(ticket: 2, at: at(23))
    stages.didApply(through: LogIndex(6), at: at(32))
    #expect(stages.queue.count == 3 && stages.queue.sum == 4_000_000)
    #expect(stages.replicate.count == 2 && stages.replicate.sum == 20_000_000)
    #expect(stages.persist.count == 3 && stages.persist.sum == 62_000_000)
    #expect(stages.apply.count == 2 && stages.apply.sum == 40_000_000)
    stages.didCommit(through: LogIndex(9), at: at(40))
    stages.didApply(through: LogIndex(9), at: at(41))
    #expect(stages.replicate.count == 3 && stages.apply.count == 3)
    #expect(!stages.isWaitingForApply)
  }

  @Test("what was under way when leadership ended is not measured by the next leader's entries")
  func abandon() {
    var stages = WriteStages()
    stages.didPropose(LogIndex(5), at: at(0))
    stages.didHandOver(ticket: 1, at: at(0))
    stages.didPropose(LogIndex(6), at: at(0))
    stages.abandon()
    stages.didCommit(through: LogIndex(9), at: at(9))
    stages.didPersist(ticket: 9, at: at(9))
    stages.didApply(through: LogIndex(9), at: at(9))
    stages.didHandOver(ticket: 10, at: at(9))
    #expect(stages.persist.count == 0 && stages.replicate.count == 0 && stages.apply.count == 0)
    #expect(stages.queue.count == 1)
  }
}

@Suite("Round trips of heartbeats")
struct RoundTripTests {
  @Test("a round that is sent again, to tell a commit, gets no answer and is not waited for")
  func repeated() {
    var metrics = ReplicaMetrics()
    let peer = NodeID(2)
    metrics.didSendHeartbeat(1, to: peer, at: at(0))
    metrics.didReceiveHeartbeatReply(1, from: peer, at: at(2))
    metrics.didSendHeartbeat(1, to: peer, at: at(3))
    metrics.didSendHeartbeat(2, to: peer, at: at(50))
    metrics.didReceiveHeartbeatReply(2, from: peer, at: at(51))
    #expect(metrics.peers[0].roundTrip.count == 2)
    #expect(metrics.peers[0].roundTrip.sum == 3_000_000)
    // The next leadership counts its rounds anew.
    metrics.forgetHeartbeats()
    metrics.didSendHeartbeat(1, to: peer, at: at(60))
    metrics.didReceiveHeartbeatReply(1, from: peer, at: at(61))
    #expect(metrics.peers[0].roundTrip.count == 3)
  }
}

@Suite("Metrics as text")
struct MetricsTextTests {
  private func text(_ body: (inout MetricsText) -> Void) -> String {
    var text = MetricsText()
    body(&text)
    return String(decoding: text.buffer.readable, as: UTF8.self)
  }

  @Test("HELP, TYPE, labels with escapes, and seconds without rounding")
  func form() {
    let made = text {
      $0.begin("a_seconds", .gauge, "Help.")
      $0.sample(seconds: Interval(nanoseconds: 1_000_000_001), [("x", "a\"b\\c\nd"), ("y", "")])
      $0.add("b_total", .counter, "More.", 7)
    }
    #expect(
      made == """
        # HELP a_seconds Help.
        # TYPE a_seconds gauge
        a_seconds{x="a\\"b\\\\c\\nd",y=""} 1.000000001
        # HELP b_total More.
        # TYPE b_total counter
        b_total 7

        """)
  }

  @Test("buckets are cumulative and end with +Inf")
  func histogram() {
    let histogram = Histogram()
    histogram.observe(Interval(nanoseconds: 1))
    histogram.observe(.seconds(100), times: 2)
    let lines = text {
      $0.begin("h_seconds", .histogram, "Help.")
      $0.sample(histogram, [("k", "v")])
    }.split(separator: "\n")
    #expect(lines[2] == "h_seconds_bucket{k=\"v\",le=\"0.000001024\"} 1")
    #expect(lines[2 + Histogram.boundCount - 1] == "h_seconds_bucket{k=\"v\",le=\"8.589934592\"} 1")
    #expect(lines[2 + Histogram.boundCount] == "h_seconds_bucket{k=\"v\",le=\"+Inf\"} 3")
    #expect(
      lines.suffix(2) == ["h_seconds_sum{k=\"v\"} 200.000000001", "h_seconds_count{k=\"v\"} 3"])
  }

  @Test("every kind of request and every status has a place of its own")
  func requests() {
    let metrics = RequestMetrics()
    for (round, kind) in RequestKind.allCases.enumerated() {
      for status in RequestMetrics.statuses + [999, -1] {
        for _ in 0...round { metrics.count(kind, status: status) }
      }
    }
    for (round, kind) in RequestKind.allCases.enumerated() {
      for (place, status) in RequestMetrics.statuses.enumerated() {
        let times: UInt64 = status == 0 ? 3 : 1
        #expect(metrics.count(kind, place: place) == times * UInt64(round + 1), "\(kind) \(status)")
      }
    }
  }
}
