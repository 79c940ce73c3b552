/// What became of one seed, as a worker tells it in one line:
///
/// ```
/// result 17 5f0a3c… 81234 60250000000 1f3 ok
/// result 18 90be11… 4021 3100000000 1f failed durability a write is acknowledged at 12, …
/// ```
/// seed, trace hash, events, virtual nanoseconds, the marks hit as a hexadecimal number per 64 of
/// them, and the verdict.
package struct SeedResult: Equatable, Sendable {
  package struct Failure: Equatable, Sendable {
    /// The invariant's name, or what else ended the run: `trap`, `hang`, `determinism`.
    package var kind: String
    package var message: String

    package init(kind: String, message: String) {
      self.kind = kind
      self.message = message
    }

    package var description: String {
      let isInvariant = Invariant(rawValue: kind) != nil
      return "FAILED \(isInvariant ? "invariant " : "")\(kind): \(message)"
    }
  }

  package var seed: UInt64
  package var trace: UInt64 = 0
  package var events = 0
  package var virtualTime: UInt64 = 0
  package var failure: Failure?
  private var markWords: [UInt64] = []

  package init(seed: UInt64, failure: Failure?) {
    self.seed = seed
    self.failure = failure
  }

  package init(_ outcome: Simulator.Outcome) {
    seed = outcome.seed
    trace = outcome.trace
    events = outcome.events
    virtualTime = outcome.virtualTime
    failure = outcome.failure.map { Failure(kind: $0.invariant.rawValue, message: $0.message) }
    markWords = Array(repeating: 0, count: (Marks.names.count + 63) / 64)
    for (position, count) in outcome.marks.counts.enumerated() where count > 0 {
      markWords[position / 64] |= 1 << UInt64(position % 64)
    }
  }

  package var virtualSeconds: Double { Double(virtualTime) / 1e9 }

  package func hasHit(markAt position: Int) -> Bool {
    guard position / 64 < markWords.count else { return false }
    return markWords[position / 64] & 1 << UInt64(position % 64) != 0
  }

  // MARK: The line

  package var line: String {
    let marks = markWords.map { String($0, radix: 16) }.joined(separator: ",")
    let verdict = failure.map { "failed \($0.kind) \($0.message)" } ?? "ok"
    return "result \(seed) \(String(trace, radix: 16)) \(events) \(virtualTime) "
      + "\(marks.isEmpty ? "0" : marks) \(verdict)"
  }

  package init?(parsing line: String) {
    let words = line.split(separator: " ", maxSplits: 6)
    guard words.count >= 7, words[0] == "result", let seed = UInt64(words[1]),
      let trace = UInt64(words[2], radix: 16), let events = Int(words[3]),
      let virtualTime = UInt64(words[4])
    else { return nil }
    self.init(seed: seed, failure: nil)
    self.trace = trace
    self.events = events
    self.virtualTime = virtualTime
    for word in words[5].split(separator: ",") {
      guard let mask = UInt64(word, radix: 16) else { return nil }
      markWords.append(mask)
    }
    if words[6] == "ok" { return }
    let verdict = words[6].split(separator: " ", maxSplits: 2)
    guard verdict.count >= 2, verdict[0] == "failed" else { return nil }
    let message = verdict.count == 3 ? String(verdict[2]) : ""
    failure = Failure(kind: String(verdict[1]), message: message)
  }

  /// As the tool's last line of a seed says it.
  package var sentence: String {
    let digits = String(trace, radix: 16)
    let hash = String(repeating: "0", count: 16 - digits.count) + digits
    let tenths = (virtualTime + 50 * Duration.millisecond) / (100 * Duration.millisecond)
    return "seed \(seed) trace \(hash) events \(events) virtual \(tenths / 10).\(tenths % 10)s "
      + (failure?.description ?? "ok")
  }
}
