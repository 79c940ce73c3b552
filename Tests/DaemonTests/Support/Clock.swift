import Glibc

enum Clock {
  /// Seconds; only differences mean something.
  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  static func sleep(_ seconds: Double) { usleep(UInt32(seconds * 1e6)) }
}

/// Looks again and again until `condition` holds. The deadline is for machines that stand still:
/// nothing here says how fast a node must be.
func eventually(
  _ what: String, within seconds: Double = 60, _ condition: () throws -> Bool
) throws {
  let deadline = Clock.now + seconds
  while try !condition() {
    guard Clock.now < deadline else { throw ClientError.timedOut(what) }
    Clock.sleep(0.02)
  }
}
