/// Asks the addresses of `-join`, one after the other, to be let in, until one does or the node
/// finds itself a member. Harmless where the node is one already.
final class Joiner {
  /// Rounds begin this far apart, and a quarter more after each one without success.
  private static let firstPause = Interval.milliseconds(500)
  private static let longestPause = Interval.seconds(5)
  /// A join stays open while the learner catches up, whatever that takes; a peer that says nothing
  /// for this long is asked again, which attaches to the same attempt.
  private static let patience = Interval.seconds(60)

  private let loop: EventLoop
  private let settings: ReplicaSettings
  private let addresses: [String]
  private let logger: Logger
  private let isMember: () -> Bool
  private let timer: Timer
  private var next = 0
  private var pause = firstPause
  private var request: JoinClient?
  private var lastComplaint = ""

  init(
    loop: EventLoop, settings: ReplicaSettings, addresses: [HostPort], logger: Logger,
    isMember: @escaping () -> Bool
  ) {
    self.loop = loop
    self.settings = settings
    self.addresses = addresses.map(\.description)
    self.logger = logger
    self.isMember = isMember
    timer = Timer(loop)
    timer.didFire = { [unowned self] in attempt() }
  }

  func start() { attempt() }

  func stop() {
    request?.cancel()
    request = nil
    if timer.isOpen { timer.close() }
  }

  private func attempt() {
    request?.cancel()
    request = nil
    if isMember() { return stop() }
    let address = addresses[next % addresses.count]
    next += 1
    timer.arm(at: loop.now + Self.patience)
    request = JoinClient.join(
      loop, at: address, name: settings.name, raftAddress: settings.raftAddress,
      httpAddress: settings.httpAddress
    ) { [unowned self] result in didAnswer(result, from: address) }
  }

  private func didAnswer(
    _ result: Result<JoinClient.Answer, JoinClient.Failure>, from address: String
  ) {
    request = nil
    switch result {
    case .success(let answer) where answer.status == 200:
      logger.info("joined the cluster through \(address)")
      return stop()
    case .success(let answer):
      let body = String(decoding: answer.body, as: UTF8.self)
      complain("\(address) answered \(answer.status): \(body)")
    case .failure(let failure): complain("\(address) cannot be asked to join: \(failure)")
    }
    // Every address once, then a pause that grows.
    let isRoundOver = next % addresses.count == 0
    timer.arm(at: loop.now + (isRoundOver ? pause : .milliseconds(10)))
    if isRoundOver { pause = min(pause * 5 / 4, Self.longestPause) }
  }

  /// The same complaint is not repeated every few seconds.
  private func complain(_ complaint: String) {
    guard complaint != lastComplaint else { return }
    lastComplaint = complaint
    logger.warning(complaint + "; trying again")
  }
}
