/// SplitMix64: small, fast, and the same numbers for the same seed everywhere. Elections need to be
/// spread and replayable, not secret.
package struct Random: RandomNumberGenerator, Sendable {
  private var state: UInt64
  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// A length of time, uniform in `shortest ..< longest`.
  package mutating func interval(from shortest: Interval, to longest: Interval) -> Interval {
    guard shortest < longest else { return shortest }
    return Interval(
      nanoseconds: UInt64.random(in: shortest.nanoseconds..<longest.nanoseconds, using: &self))
  }

  /// A generator of its own, so that one consumer's draws do not shift another's.
  package mutating func fork() -> Random { Random(seed: next()) }
}
