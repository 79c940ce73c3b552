/// What the service manager is told over the life of a node.
///
/// ```
///   replay ── EXTEND_TIMEOUT_USEC ──▶ listeners open ── READY ──▶ serving ── STOPPING ──▶ exit
///                                             STATUS, WATCHDOG │ ▲ READY
///                                                     RELOADING ▼ │
///                                                          SIGHUP
/// ```
/// A node is ready before a leader is known: else the first node of a cluster would wait for the
/// others, and they for it. Whether it can serve is what STATUS and `/readyz` say.
final class ServiceReports {
  private let notifier: ServiceNotifier?
  private var feedDue: Instant?
  /// Before this the start need not be extended again.
  private var extendDue = Instant.zero
  private var told = Told()

  /// What STATUS depends on; compared every turn, put into words only when it changed.
  struct Told: Equatable {
    var role: Role?
    var term = Term.zero
    var leader = NodeID.none
    var configuration: LogIndex?
    var isStopping = false
  }

  /// A segment of the log takes far less; a start that needs longer says so again.
  private static let startExtension = Interval.seconds(30)
  private static let extensionPause = Interval.seconds(1)

  init(_ notifier: ServiceNotifier?) { self.notifier = notifier }

  /// When the loop must come round for the watchdog.
  var deadline: Instant { feedDue ?? .distantFuture }

  /// Called while the data directory is being read, as often as it likes.
  func isReplaying(at now: Instant) {
    guard let notifier, now >= extendDue else { return }
    extendDue = now + Self.extensionPause
    let microseconds = Self.startExtension.nanoseconds / 1000
    notifier.tell("EXTEND_TIMEOUT_USEC=\(microseconds)\nSTATUS=Reads its data.")
  }

  func isReady(at now: Instant) {
    notifier?.tell("READY=1")
    feedDue = notifier?.watchdogInterval.map { _ in now }
  }

  /// The end of a turn: the loop lives, and perhaps the node's part has changed.
  func endTurn(_ state: @autoclosure () -> Told, at now: Instant, words: () -> String) {
    guard let notifier else { return }
    let state = state()
    if let due = feedDue, let interval = notifier.watchdogInterval, now >= due {
      // Where there was no room the next turn tries again.
      if notifier.mention("WATCHDOG=1") { feedDue = now + interval }
    }
    if state != told, notifier.mention("STATUS=\(words())") { told = state }
  }

  func isReloading() {
    notifier?.tell("RELOADING=1\nMONOTONIC_USEC=\(ServiceNotifier.monotonicMicroseconds)")
  }

  func hasReloaded() { notifier?.tell("READY=1") }

  func isStopping() { notifier?.tell("STOPPING=1\nSTATUS=Hands over and stops.") }

  /// The last words, where `systemctl status` shows them.
  func hasFailed(_ error: FatalError) {
    let line = String(error.message.map { $0.isNewline ? " " : $0 })
    notifier?.tell("STOPPING=1\nSTATUS=\(line)")
  }
}
