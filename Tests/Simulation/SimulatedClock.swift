import RaftKV

/// One node's steady clock: it runs at its own rate, and shows nothing of the true time.
struct SimulatedClock {
  /// Thousandths of true time; 900 ... 1100 is what the lease allows for.
  private(set) var rate: UInt64
  private var trueStart: UInt64 = 0
  private var localStart: UInt64
  /// Milliseconds by which the wall clock is wrong.
  var wallOffset: UInt64 = 0

  init(rate: UInt64, showing start: UInt64) {
    self.rate = rate
    localStart = start
  }

  func instant(at time: UInt64) -> Instant {
    Instant(nanoseconds: localStart + (time - trueStart) * rate / 1000)
  }

  /// The first true time at which the clock shows `instant` or more.
  func time(of instant: Instant) -> UInt64 {
    guard instant.nanoseconds > localStart else { return trueStart }
    let local = instant.nanoseconds - localStart
    guard local < 1 << 50 else { return .max }
    return trueStart + (local * 1000 + rate - 1) / rate
  }

  mutating func setRate(_ newRate: UInt64, at time: UInt64) {
    localStart = instant(at: time).nanoseconds
    trueStart = time
    rate = newRate
  }

  func wallClock(at time: UInt64) -> UInt64 { 1_700_000_000_000 + time / 1_000_000 + wallOffset }
}
