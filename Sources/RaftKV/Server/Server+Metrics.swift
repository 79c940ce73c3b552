/// `/metrics` as a whole.
extension Server {
  func metricsText() -> [UInt8] {
    var text = MetricsText()
    text.begin("raftkvd_build_info", .gauge, "1; the version is in the label.")
    text.sample(1, [("version", configuration.version)])
    text.begin("raftkvd_node_info", .gauge, "1; the node's name and cluster are in the labels.")
    text.sample(
      1, [("node", configuration.name), ("cluster", "\(replica.identity.cluster)")])
    replica.appendMetrics(to: &text)
    http.appendMetrics(to: &text)
    text.begin(
      "raftkvd_loop_turn_duration_seconds", .histogram,
      "Turns of the event loop, without the time asleep.")
    text.sample(loop.turnTimes)
    text.begin("raftkvd_loop_longest_turn_seconds", .gauge, "The longest turn since the start.")
    text.sample(seconds: loop.longestTurn)
    text.begin(
      "raftkvd_loop_longest_turn_cpu_seconds", .gauge,
      "The most CPU time that the loop's thread used in one turn since the start.")
    text.sample(seconds: loop.longestWork)
    let usage = ProcessUsage.now
    text.add(
      "raftkvd_resident_memory_bytes", .gauge, "Memory of this process.", usage.residentBytes)
    text.begin("raftkvd_cpu_seconds_total", .counter, "User and system time of this process.")
    text.sample(seconds: usage.cpu)
    text.begin("raftkvd_uptime_seconds", .gauge, "Time since the start.")
    text.sample(seconds: replica.uptime)
    return text.buffer.readable.map { $0 }
  }
}
