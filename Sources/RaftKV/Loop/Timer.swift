import CLibUV

/// Calls `didFire` once at a given instant or after it, never before.
///
/// libuv counts whole milliseconds of a cached clock, which may be a coarse one, so its
/// timer can go off early by our clock; then it is started again for the rest. Moving the
/// deadline back, as every heartbeat does, costs one store: libuv's timer goes off at the
/// old time and finds that it is early.
package final class Timer: Handle {
  /// Wired once, before the first `arm`.
  package var didFire: () -> Void = {}

  /// libuv keeps milliseconds from its own start in 64 bits; a day is far from any overflow, and a
  /// timer that wakes once a day to start again costs nothing.
  private static let longestSleep = Interval.seconds(86_400)

  private let timer: UnsafeMutablePointer<uv_timer_t>
  private var deadline: Instant?
  /// What libuv's timer was started for, nil while it is stopped. Invariant: started <= deadline.
  private var started: Instant?
  private var isFiring = false

  package init(_ loop: EventLoop) {
    timer = .allocate(capacity: 1)
    super.init(loop: loop, memory: timer)
    uv_timer_init(loop.raw, timer)
    register()
  }

  package var isArmed: Bool { deadline != nil }

  /// Sets the deadline, in place of an earlier one. A deadline in the past fires in the next turn;
  /// `.distantFuture` never does.
  package func arm(at deadline: Instant) {
    guard isOpen else { return }
    guard deadline < .distantFuture else { return disarm() }
    self.deadline = deadline
    if let started, started <= deadline { return }
    start()
  }

  package func disarm() {
    guard isOpen, deadline != nil else { return }
    deadline = nil
    started = nil
    uv_timer_stop(timer)
  }

  private func start() {
    guard let deadline else { return }
    let rest = min(deadline - loop.now, Self.longestSleep)
    // Rounded up. A timer restarted from its own callback waits for a millisecond at least, because
    // libuv before 1.49 goes on calling due timers until there is none.
    let milliseconds = max((rest.nanoseconds + 999_999) / 1_000_000, isFiring ? 1 : 0)
    started = deadline
    uv_update_time(loop.raw)
    uv_timer_start(timer, timerWentOff, milliseconds, 0)
  }

  fileprivate func wentOff() {
    started = nil
    guard let deadline else { return }
    isFiring = true
    if loop.now < deadline {
      start()
    } else {
      self.deadline = nil
      didFire()
    }
    isFiring = false
  }

  override func didCloseHandle() {
    deadline = nil
    didFire = {}
  }
}

private func timerWentOff(_ timer: UnsafeMutablePointer<uv_timer_t>?) {
  Timer.owner(timer!.pointee.data).wentOff()
}
