import Testing

@testable import RaftKV

/// The small types of the engine.
@Suite("Time, Identifiers, Random and Quorum")
struct TimeTests {
  @Test("time between two instants is never negative: clocks of two reads may be out of order")
  func difference() {
    #expect(Instant(nanoseconds: 9) - Instant(nanoseconds: 4) == Interval(nanoseconds: 5))
    #expect(Instant(nanoseconds: 4) - Instant(nanoseconds: 9) == .zero)
    #expect(Instant(nanoseconds: 5) + .milliseconds(1) == Instant(nanoseconds: 1_000_005))
    #expect(Interval.milliseconds(2) - .milliseconds(3) == .zero)
    #expect(Interval.milliseconds(1500).milliseconds == 1500)
    #expect(Interval.seconds(1) * 3 / 4 == .milliseconds(750))
  }

  @Test("an entry is written index@term, everywhere")
  func notation() {
    #expect("\(EntryID(index: LogIndex(12), term: Term(3)))" == "12@3")
  }

  @Test("draws are within their bounds, reach both ends of a small range, and repeat by seed")
  func random() {
    var random = Random(seed: 42)
    var seen: Set<UInt64> = []
    for _ in 0..<1000 {
      let draw = random.interval(from: Interval(nanoseconds: 3), to: Interval(nanoseconds: 6))
      seen.insert(draw.nanoseconds)
    }
    #expect(seen.isSubset(of: [3, 4, 5, 6]) && seen.isSuperset(of: [3, 5]))
    var (one, two) = (Random(seed: 7), Random(seed: 7))
    for _ in 0..<10 {
      let (left, right) = (one.next(), two.next())
      #expect(left == right)
    }
    var fork = one.fork()
    let (forked, own) = (fork.next(), one.next())
    #expect(forked != own)
  }

  @Test("majorities against a count that is obvious, for every vote of up to seven")
  func quorum() {
    for size in 0...7 {
      let voters = (0..<size).map { NodeID(UInt64($0 + 1)) }
      let quorum = Quorum(voters)
      for pattern in 0..<power(of: 3, size) {
        let votes = (0..<size).map { pattern / power(of: 3, $0) % 3 }
        let yes = votes.filter { $0 == 1 }.count
        let no = votes.filter { $0 == 2 }.count
        let expected: Quorum.Result =
          size == 0 || yes * 2 > size ? .won : (size - no) * 2 > size ? .pending : .lost
        let result = quorum.result { voter in
          let vote = votes[Int(voter.rawValue) - 1]
          return vote == 0 ? nil : vote == 1
        }
        #expect(result == expected)
        guard size > 0 else { continue }
        #expect(quorum.holds { votes[Int($0.rawValue) - 1] == 1 } == (yes * 2 > size))
        // The highest value that a majority has reached.
        let agreed = quorum.agreed { votes[Int($0.rawValue) - 1] }
        let naive = (0...2).last { value in votes.filter { $0 >= value }.count * 2 > size }
        #expect(agreed == naive)
      }
    }
  }

  private func power(of base: Int, _ exponent: Int) -> Int {
    (0..<exponent).reduce(1) { power, _ in power * base }
  }
}
