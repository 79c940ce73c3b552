import CLibUV
import Glibc

/// One libuv loop, and the turn as the unit of work.
///
/// ```
///   timers → prepare ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄→ poll → callbacks: reads, writes, disk → closes ↺
///            1 listeners and streams go on that had taken their share of this turn
///            2 endOfTurn: everything the callbacks recorded is acted on
///            3 the next poll returns at once if another turn was requested, else it sleeps
/// ```
/// From libuv 1.45 on timers run after the poll instead of before the prepare; nothing here depends
/// on which. One loop belongs to the thread that runs it.
package final class EventLoop {
  /// One read buffer for all connections: bytes are parsed or copied during the callback, so no two
  /// need it at once. 64 KiB is what a socket usually holds; more would
  /// only grow the cache footprint.
  static let readBufferSize = 64 << 10

  let raw: UnsafeMutablePointer<uv_loop_t>
  let readBuffer: UnsafeMutableRawBufferPointer
  private let prepare: UnsafeMutablePointer<uv_prepare_t>
  private let idle: UnsafeMutablePointer<uv_idle_t>

  /// Called at the end of every turn, last thing before the loop sleeps. Wired once.
  package var endOfTurn: (() -> Void)?
  /// The number of turns that have ended.
  package private(set) var turn: UInt64 = 0
  /// The longest time from the first callback after a poll to the end of its turn: how late a
  /// heartbeat may have been read.
  package private(set) var longestTurn = Interval.zero
  /// The most CPU time that this thread used in one turn: what our own code is to blame for,
  /// however long others had the core meanwhile. At most: see `measureTurn`.
  package private(set) var longestWork = Interval.zero
  /// All turns, as `longestTurn` measures them.
  package let turnTimes = Histogram()

  private var isRunning = false
  private var isClosed = false
  private var wantsAnotherTurn = false
  private var putOff: [Handle] = []
  /// When the present turn began, by uv_hrtime; 0 while the loop sleeps.
  private var turnBegan: UInt64 = 0
  /// The thread's CPU time when it was last looked at.
  private var workSeen: UInt64 = 0

  package init() throws(LoopError) {
    Signals.ignoreBrokenPipe()
    raw = .allocate(capacity: 1)
    let status = uv_loop_init(raw)
    guard status == 0 else {
      raw.deallocate()
      throw LoopError(code: status)
    }
    readBuffer = .allocate(byteCount: Self.readBufferSize, alignment: 64)
    prepare = .allocate(capacity: 1)
    idle = .allocate(capacity: 1)
    // None of these can fail: they only link the handle into the loop.
    uv_prepare_init(raw, prepare)
    uv_idle_init(raw, idle)
    prepare.pointee.data = nil
    idle.pointee.data = nil
    raw.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    uv_prepare_start(prepare, willPoll)
  }

  deinit {
    precondition(isClosed, "an event loop is closed before it is dropped")
    raw.deallocate()
    readBuffer.deallocate()
    prepare.deallocate()
    idle.deallocate()
  }

  static func owner(_ raw: UnsafeMutablePointer<uv_loop_t>) -> EventLoop {
    Unmanaged<EventLoop>.fromOpaque(raw.pointee.data).takeUnretainedValue()
  }

  // MARK: Running

  /// Runs turns until `stop()`, sleeping in between. Never called from a callback.
  package func run() {
    precondition(!isRunning, "the loop is not run from one of its own callbacks")
    precondition(!isClosed, "a closed loop does not run")
    isRunning = true
    turnBegan = 0
    workSeen = Self.threadTime
    uv_run(raw, UV_RUN_DEFAULT)
    isRunning = false
  }

  /// Makes `run()` return after the present turn.
  package func stop() { uv_stop(raw) }

  /// The next poll does not sleep: there is work left that was put off for the sake of others.
  /// Lasts for one turn, whenever in the turn it is called.
  package func requestAnotherTurn() { wantsAnotherTurn = true }

  /// Called by a handle that has taken its share; it goes on at the end of this turn.
  func resumeLater(_ handle: Handle) { putOff.append(handle) }

  /// Said by every callback: the first one after a poll begins the turn. libuv would count its
  /// sleep for us, at the price of a second poll in each turn that sleeps.
  func didWake() {
    if turnBegan == 0 { turnBegan = uv_hrtime() }
  }

  fileprivate func wrapUp() {
    didWake()
    if !putOff.isEmpty {
      let waiting = putOff
      putOff.removeAll(keepingCapacity: true)
      for handle in waiting { handle.resume() }
    }
    turn += 1
    endOfTurn?()
    if wantsAnotherTurn {
      wantsAnotherTurn = false
      uv_idle_start(idle, doNothing)
    } else {
      uv_idle_stop(idle)
    }
    measureTurn()
  }

  private func measureTurn() {
    let spent = Interval(nanoseconds: uv_hrtime() - turnBegan)
    turnBegan = 0
    longestTurn = max(longestTurn, spent)
    turnTimes.observe(spent)
    // Looking at the thread's time is a system call: it is done in long turns, and in every
    // eighth. So a long turn may be charged with a few short ones before it.
    let isLong = spent >= .milliseconds(1)
    guard isLong || turn & 7 == 0 else { return }
    let work = Self.threadTime
    if isLong {
      longestWork = max(longestWork, min(spent, Interval(nanoseconds: work - workSeen)))
    }
    workSeen = work
  }

  /// Nanoseconds of CPU that this thread has used.
  private static var threadTime: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  // MARK: Closing

  /// Closes every handle that is still open, waits for what libuv cannot give up (disk and name
  /// requests under way), and frees the loop. Their last callbacks run inside this call.
  package func close() {
    precondition(!isRunning, "the loop is not closed from one of its own callbacks")
    guard !isClosed else { return }
    endOfTurn = nil
    putOff.removeAll()
    uv_close(UnsafeMutableRawPointer(prepare).assumingMemoryBound(to: uv_handle_t.self), nil)
    uv_close(UnsafeMutableRawPointer(idle).assumingMemoryBound(to: uv_handle_t.self), nil)
    isRunning = true
    var status: Int32
    // A last callback may open something again; one that always does is a mistake of its owner.
    var rounds = 0
    repeat {
      uv_walk(raw, closeOwner, nil)
      uv_run(raw, UV_RUN_DEFAULT)
      status = uv_loop_close(raw)
      rounds += 1
    } while status != 0 && rounds < 100
    isRunning = false
    isClosed = true
    precondition(status == 0, "nothing is left on a closed loop")
  }

  // MARK: Clocks

  /// The steady clock, read afresh. libuv's cached time is never used (trap C5).
  package var now: Instant { Self.now }

  package static var now: Instant {
    Instant(nanoseconds: read(CLOCK_BOOTTIME))
  }

  /// Milliseconds since 1970, for people and for the clock that entries carry; it may jump.
  package static func wallClockMilliseconds() -> UInt64 { read(CLOCK_REALTIME) / 1_000_000 }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    let status = clock_gettime(clock, &time)
    precondition(status == 0, "Linux has this clock since 2.6.39")
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

private func willPoll(_ prepare: UnsafeMutablePointer<uv_prepare_t>?) {
  EventLoop.owner(prepare!.pointee.loop).wrapUp()
}

/// An active idle handle is all it takes for a poll that does not sleep.
private func doNothing(_ idle: UnsafeMutablePointer<uv_idle_t>?) {}

private func closeOwner(_ handle: UnsafeMutablePointer<uv_handle_t>?, _: UnsafeMutableRawPointer?) {
  // The loop's own two handles have no owner and are closed already.
  guard handle!.pointee.data != nil, uv_is_closing(handle) == 0 else { return }
  Handle.owner(handle!.pointee.data).close()
}
