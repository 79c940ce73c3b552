import Foundation
import Testing

extension DaemonTests {
  /// `/metrics`.
  @Suite("Metrics")
  struct MetricsTests {
    @Test("what a cluster does shows, in a form that Prometheus reads")
    func cluster() throws {
      try Sandbox.run { sandbox in
        let nodes = try sandbox.cluster(of: 3)
        let leader = try sandbox.leader(of: nodes)
        let follower = try #require(nodes.first { $0 !== leader })
        for count in 1...5 { try leader.put("key\(count)", "12345") }
        _ = try leader.request("DELETE", "/key?key=key5")
        for level in ["default", "stale", "consistent"] {
          try #require(try leader.get("/key?key=key1&level=\(level)").status == 200)
        }
        try #require(try follower.get("/key?key=key1").status == 307)
        try #require(try leader.get("/nowhere").status == 404)
        try eventually("heartbeats have been answered, the follower has applied all") {
          try Scrape(leader)["raftkvd_peer_round_trip_seconds_count"] > 0
            && Scrape(follower)["raftkvd_map_keys"] == 4
        }

        let metrics = try Scrape(leader)
        let requests = "raftkvd_http_requests_total"
        for (labels, count) in [
          (#"route="/key",method="PUT",level="",code="200""#, 5.0),
          (#"route="/key",method="DELETE",level="",code="200""#, 1),
          (#"route="/key",method="GET",level="default",code="200""#, 1),
          (#"route="/key",method="GET",level="stale",code="200""#, 1),
          (#"route="/key",method="GET",level="consistent",code="200""#, 1),
          (#"route="",method="",level="",code="404""#, 1),
        ] {
          let found = metrics.samples["\(requests){\(labels)}"]
          try #require(found == count, "\(labels): \(String(describing: found))")
        }
        for stage in ["queue", "persist", "replicate", "apply"] {
          let name = "raftkvd_write_stage_duration_seconds"
          try #require(metrics.samples["\(name)_count{stage=\"\(stage)\"}"] == 6, "\(stage)")
          try #require(metrics.samples["\(name)_sum{stage=\"\(stage)\"}"] ?? 0 > 0, "\(stage)")
        }
        try #require(metrics["raftkvd_read_confirm_duration_seconds_count"] >= 1)
        try #require(metrics["raftkvd_http_parse_duration_seconds_count"] >= 9)
        try #require(metrics.samples[#"raftkvd_fsync_duration_seconds_count{file="log"}"#] ?? 0 > 3)
        try #require(metrics["raftkvd_loop_turn_duration_seconds_count"] > 10)
        try #require(metrics["raftkvd_map_keys"] == 4 && metrics["raftkvd_map_bytes"] == 4 * 9)
        try #require(metrics.samples[#"raftkvd_role{role="leader"}"#] == 1)
        try #require(metrics["raftkvd_ready"] == 1 && metrics["raftkvd_has_leader"] == 1)
        try #require(metrics["raftkvd_resident_memory_bytes"] > 1_000_000)
        try #require(metrics["raftkvd_http_connections"] >= 1)
        try #require(metrics["raftkvd_applied_index"] == metrics["raftkvd_commit_index"])
        for peer in nodes where peer !== leader {
          try #require(metrics.samples["raftkvd_peer_connected{peer=\"\(peer.name)\"}"] == 1)
          try #require(metrics.samples["raftkvd_peer_lag_entries{peer=\"\(peer.name)\"}"] == 0)
        }
        let followers = try Scrape(follower)
        try #require(followers.samples[#"raftkvd_role{role="follower"}"#] == 1)
        try #require(followers.samples[#"raftkvd_role{role="leader"}"#] == 0)
        for node in [leader, follower] { try promtool(Scrape(node).text, in: sandbox) }
      }
    }

    @Test("a node that waits to be joined has metrics too")
    func waiting() throws {
      try Sandbox.run { sandbox in
        let node = try sandbox.node("waiting")
        try node.start()
        try node.awaitStatus("waits") { $0.role == "waiting" }
        let metrics = try Scrape(node)
        try #require(metrics.samples[#"raftkvd_role{role="waiting"}"#] == 1)
        try #require(metrics["raftkvd_ready"] == 0)
        let head = try node.request("HEAD", "/metrics")
        try #require(head["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
        try promtool(metrics.text, in: sandbox)
      }
    }

    /// `promtool check metrics`, of Debian's package prometheus, where it is installed.
    private func promtool(_ text: String, in sandbox: Sandbox) throws {
      let path = "/usr/bin/promtool"
      guard FileManager.default.isExecutableFile(atPath: path) else {
        return print("skipped: \(path) is not there")
      }
      let file = "\(sandbox.directory)/metrics"
      try Files.write(Array(text.utf8), to: file)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: path)
      process.arguments = ["check", "metrics"]
      process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
      let output = Pipe()
      process.standardError = output
      process.standardOutput = output
      try process.run()
      let words = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      try #require(process.terminationStatus == 0 && words.isEmpty, "\(words)")
    }
  }

  /// One answer of `/metrics`, with its form checked line by line (text format 0.0.4).
  struct Scrape {
    let text: String
    /// By name and labels as they stand.
    private(set) var samples: [String: Double] = [:]

    /// The sum over all labels.
    subscript(_ name: String) -> Double {
      samples.filter { $0.key == name || $0.key.hasPrefix(name + "{") }.values.reduce(0, +)
    }

    init(_ node: Node) throws {
      let response = try node.get("/metrics")
      try #require(response.status == 200)
      text = response.text
      try #require(text.hasSuffix("\n"))
      var families: Set<String> = []
      var family = ""
      var type = ""
      var lastBucket = (labels: "", bound: 0.0, count: 0.0)
      var expectsType = false
      for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
        let parts = line.split(separator: " ", maxSplits: 3).map(String.init)
        if line.hasPrefix("# HELP ") {
          try #require(parts.count == 4 && parts[3].hasSuffix("."), "\(line)")
          family = parts[2]
          try #require(families.insert(family).inserted, "\(family) stands twice")
          try #require(family.wholeMatch(of: /raftkvd_[a-z][a-z_]*[a-z]/) != nil, "\(line)")
          try #require(!family.contains(/milli|micro|nano|_ms$|_kb|_mb/), "base units: \(line)")
          expectsType = true
          continue
        }
        if line.hasPrefix("#") {
          try #require(expectsType && parts.count == 4 && parts[1] == "TYPE" && parts[2] == family)
          type = parts[3]
          try #require(["counter", "gauge", "histogram"].contains(type))
          try #require((type == "counter") == family.hasSuffix("_total"), "\(line)")
          try #require(type != "histogram" || family.hasSuffix("_seconds"), "\(line)")
          expectsType = false
          continue
        }
        try #require(!expectsType, "HELP and TYPE belong together: \(line)")
        let match = try #require(
          line.wholeMatch(of: /([a-z_]+)(\{([a-z]+="[^"\\]*",?)+\})? ([0-9]+(\.[0-9]+)?)/),
          "\(line)")
        let (name, labels) = (String(match.1), String(match.2 ?? ""))
        let value = try #require(Double(match.4))
        try #require(samples.updateValue(value, forKey: name + labels) == nil, "twice: \(line)")
        guard type == "histogram" else {
          try #require(name == family, "\(line)")
          continue
        }
        try #require(
          ["_bucket", "_sum", "_count"].contains { name == family + $0 }, "\(line)")
        let rest = labels.replacing(/[{,]le="[^"]*"/, with: "")
        let bare = rest == "}" ? "" : rest
        if name.hasSuffix("_bucket") {
          let bound = try #require(labels.firstMatch(of: /[{,]le="([^"]*)"/)).1
          let limit = bound == "+Inf" ? Double.infinity : try #require(Double(bound))
          if lastBucket.labels == family + bare {
            try #require(limit > lastBucket.bound && value >= lastBucket.count, "\(line)")
          }
          lastBucket = (family + bare, limit, value)
        } else if name.hasSuffix("_count") {
          try #require(lastBucket == (family + bare, .infinity, value), "\(line)")
        }
      }
    }
  }
}
