import RaftKV
import Testing

@Suite("Quorum")
struct QuorumTests {
  /// Match indexes of voters; zero where nothing is known yet.
  private static let commits: [(matches: [Int], agreed: Int?)] = [
    ([], nil),
    ([0], 0), ([12], 12),
    ([0, 0], 0), ([12, 0], 0), ([12, 5], 5),
    ([0, 0, 0], 0), ([12, 0, 0], 0), ([12, 5, 0], 5), ([12, 5, 6], 6), ([12, 5, 4], 5),
    ([5, 5, 0], 5), ([5, 5, 12], 5), ([100, 101, 103], 101),
    ([101, 104, 103, 103, 0], 103), ([101, 102, 103, 103, 0], 102),
  ]

  @Test("the agreed index is the highest that a majority has reached", arguments: commits)
  func agreed(matches: [Int], agreed: Int?) {
    let voters = matches.indices.map { NodeID(UInt64($0 + 1)) }
    let result = Quorum(voters).agreed { matches[Int($0.rawValue) - 1] }
    #expect(result == agreed)
  }

  /// One letter per voter: yes, no, or no answer yet.
  private static let votes: [(votes: String, result: Quorum.Result)] = [
    ("", .won),
    ("_", .pending), ("n", .lost), ("y", .won),
    ("__", .pending), ("n_", .lost), ("y_", .pending), ("ny", .lost), ("yy", .won),
    ("___", .pending), ("n__", .pending), ("y__", .pending), ("nn_", .lost), ("yn_", .pending),
    ("yy_", .won), ("yyn", .won), ("nyn", .lost),
    ("yyny___", .pending), ("_yy_nyn", .pending), ("yyny_ny", .won), ("yy_nynn", .pending),
    ("yynynnn", .lost),
  ]

  @Test("a vote is won by a majority, and lost once none can be made", arguments: votes)
  func result(votes: String, result: Quorum.Result) {
    let letters = Array(votes)
    let voters = letters.indices.map { NodeID(UInt64($0 + 1)) }
    let actual = Quorum(voters).result { voter in
      let letter = letters[Int(voter.rawValue) - 1]
      return letter == "_" ? nil : letter == "y"
    }
    #expect(actual == result)
  }

  @Test("the clever answers are those of a twin that obviously counts")
  func twin() {
    var random = Random(seed: 11)
    for _ in 0..<2000 {
      let count = Int.random(in: 1...9, using: &random)
      let matches = (0..<count).map { _ in Int.random(in: 0...6, using: &random) }
      let quorum = Quorum((0..<count).map { NodeID(UInt64($0)) })
      var highest = 0
      for value in 0...6 where matches.filter({ $0 >= value }).count * 2 > count { highest = value }
      #expect(quorum.agreed { matches[Int($0.rawValue)] } == highest)
      let isMajority = matches.filter { $0 > 2 }.count * 2 > count
      #expect(quorum.holds { matches[Int($0.rawValue)] > 2 } == isMajority)
    }
  }
}
