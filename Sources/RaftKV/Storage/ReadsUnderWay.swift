/// How many reads the disk owes, and since when: so a hung disk is told from a slow one (G14).
struct ReadsUnderWay {
  private var count = 0
  /// When the first of them began or, if later, when the disk last got done with anything that they
  /// may have waited for. Nil while there is none.
  private(set) var stalledSince: Instant?

  mutating func didBegin(at now: Instant) {
    if count == 0 { stalledSince = now }
    count += 1
  }

  mutating func didEnd(at now: Instant) {
    precondition(count > 0, "a read ends once")
    count -= 1
    stalledSince = count > 0 ? now : nil
  }

  /// The disk works: a write came back.
  mutating func didSeeProgress(at now: @autoclosure () -> Instant) {
    if count > 0 { stalledSince = now() }
  }
}
