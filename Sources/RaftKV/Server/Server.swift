/// The whole node: builds the parts, wires them, runs the loop, and ends.
package final class Server {
  typealias Node = Replica<UVDisk, PeerTransport, HTTPServer<RequestGate>>

  var configuration: ServerConfiguration
  let sources: ConfigurationSources
  /// What the node runs with, which a changed file may not be able to change.
  var inForce: Settings
  private let settings: ReplicaSettings
  package let output: LogOutput
  let logger: Logger
  let loop: EventLoop
  private var random: Random
  var replica: Node!
  private var transport: PeerTransport!
  var http: HTTPServer<RequestGate>!
  private var gate: RequestGate!
  private var joiner: Joiner?
  private var timer: Timer!
  let reports = ServiceReports(ServiceNotifier.fromEnvironment())
  private var stopDeadline: Instant?
  private var signals: [SignalWatcher] = []
  private var outcome: FatalError?

  /// SIGTERM to exit, at the longest; systemd waits much longer before it kills.
  private static let stopTime = Interval.seconds(5)
  /// Of these the first part, in which leadership may still move and answers may still come.
  private static let patience = Interval.seconds(3)
  /// How long idle connections have for one more request, whose answer says that it is the last.
  private static let drainTime = Interval.seconds(1)
  /// How many files this process may have open.
  var descriptors = 0
  /// The longest turn that was told of. It begins with the alarm's threshold: heartbeats and reads
  /// have waited for as long as a heartbeat interval then (H3).
  private var longestTurn = Interval.milliseconds(50)

  package init(
    _ configuration: ServerConfiguration, sources: ConfigurationSources
  ) throws(FatalError) {
    self.configuration = configuration
    self.sources = sources
    inForce = configuration.source
    settings = configuration.settings
    output = LogOutput(style: configuration.logStyle, node: configuration.name)
    logger = output.logger(level: configuration.logLevel)
    var generator = SystemRandomNumberGenerator()
    random = Random(seed: generator.next())
    do throws(LoopError) { loop = try EventLoop() } catch {
      throw FatalError("the event loop cannot start: \(error)", .failure)
    }
  }

  /// Runs until the node is told to stop (returns) or has to (throws).
  package func run() throws(FatalError) {
    do throws(FatalError) { try runToEnd() } catch {
      reports.hasFailed(error)
      throw error
    }
  }

  private func runToEnd() throws(FatalError) {
    descriptors = ProcessLimits.raiseOpenFiles()
    let disk = try openDirectory()
    let raftAddresses = try resolve(configuration.raftAddress, flag: "-raddr")
    let httpAddresses = try resolve(configuration.httpAddress, flag: "-haddr")
    try createIfNew(disk, raftAddresses)
    disk.didRead = { [loop, reports] in reports.isReplaying(at: loop.now) }
    let recovered: RecoveredNode<UVDisk>
    do throws(RecoveryError) {
      recovered = try RecoveredNode.open(
        disk, limits: LogLimits(), random: random.fork(), clock: { EventLoop.now }, logger: logger)
    } catch { throw FatalError(error) }
    disk.didRead = nil
    compose(recovered)
    try listen(raftAddresses, flag: "-raddr", configuration.raftAddress) {
      addresses throws(LoopError) in
      try transport.listen(atAll: addresses)
    }
    try listen(httpAddresses, flag: "-haddr", configuration.httpAddress) {
      addresses throws(LoopError) in
      try http.listen(atAll: addresses)
    }
    start()
    loop.run()
    if let outcome { throw outcome }
  }

  // MARK: Opening

  private func openDirectory() throws(FatalError) -> UVDisk {
    let disk: UVDisk
    do throws(DiskError) {
      disk = try UVDisk(loop, directory: configuration.dataDirectory)
    } catch {
      throw FatalError(
        "the data directory \(configuration.dataDirectory) cannot be opened: \(error); choose "
          + "another with -data, or make it writable", .diskFailure)
    }
    do throws(DirectoryLockError) { try disk.lock() } catch {
      throw FatalError("\(error); stop the other process, or choose another -data", .locked)
    }
    return disk
  }

  /// A name may stand for several addresses (localhost is ::1 and
  /// 127.0.0.1): all of them are bound.
  private func resolve(_ address: HostPort, flag: String) throws(FatalError) -> [SocketAddress] {
    var result: Result<[SocketAddress], LoopError>?
    var isWaiting = false
    Resolver.resolve(loop, address) { [loop] in
      result = $0
      if isWaiting { loop.stop() }
    }
    isWaiting = result == nil
    if isWaiting { loop.run() }
    switch result {
    case .success(let addresses)? where !addresses.isEmpty: return addresses
    case .failure(let error)?:
      throw FatalError("\(flag) \(address) cannot be resolved: \(error)", .addressInUse)
    default: throw FatalError("\(flag) \(address) has no address", .addressInUse)
    }
  }

  private func listen(
    _ addresses: [SocketAddress], flag: String, _ address: HostPort,
    _ body: ([SocketAddress]) throws(LoopError) -> Void
  ) throws(FatalError) {
    do throws(LoopError) { try body(addresses) } catch {
      let reason =
        error == .addressInUse ? "is in use by another process" : "cannot be bound (\(error))"
      throw FatalError("\(flag) \(address) \(reason): choose another", .addressInUse)
    }
  }

  /// The first start on an empty directory: makes a cluster, or a node that waits to be joined.
  private func createIfNew(
    _ disk: UVDisk, _ raftAddresses: [SocketAddress]
  ) throws(FatalError) {
    do throws(RecoveryError) {
      if let identity = try DataDirectory.inspect(disk) {
        guard identity.name == configuration.name else {
          throw .foreign(
            "the data directory \(configuration.dataDirectory) belongs to node "
              + "'\(identity.name)', not to '\(configuration.name)'")
        }
        if configuration.bootstrap {
          logger.info("the data directory has a node already: -bootstrap does nothing")
        }
        return
      }
    } catch { throw FatalError(error) }
    var generator = SystemRandomNumberGenerator()
    var identity = Identity(
      cluster: .none, node: NodeID(UInt64.random(in: 1...UInt64.max, using: &generator)),
      name: configuration.name)
    var members: Configuration?
    if try shouldBootstrap(identity, raftAddresses) {
      identity.cluster = ClusterID(UInt64.random(in: 1...UInt64.max, using: &generator))
      members = Configuration(members: [
        Configuration.Member(
          id: identity.node, name: identity.name, memberSince: LogIndex(1),
          raftAddress: settings.raftAddress, httpAddress: settings.httpAddress, role: .voter)
      ])
      logger.info("makes cluster \(identity.cluster)")
    }
    do throws(RecoveryError) {
      try DataDirectory.create(
        disk, identity: identity, configuration: members, limits: LogLimits(),
        random: random.fork())
    } catch { throw FatalError(error) }
  }

  private func shouldBootstrap(
    _ identity: Identity, _ raftAddresses: [SocketAddress]
  ) throws(FatalError) -> Bool {
    guard configuration.bootstrap else { return false }
    let bootstrap = BootstrapGuard(
      loop: loop, settings: settings, identity: identity, nonce: random.next(), logger: logger)
    var verdict = BootstrapGuard.Verdict.bootstrap
    try listen(raftAddresses, flag: "-raddr", configuration.raftAddress) {
      addresses throws(LoopError) in
      verdict = try bootstrap.decide(
        listeningAt: addresses, asking: configuration.joinAddresses)
    }
    switch verdict {
    case .bootstrap: return true
    case .join: return false
    case .wipedDisk(let error): throw error
    }
  }

  // MARK: Wiring

  private func compose(_ recovered: consuming RecoveredNode<UVDisk>) {
    replica = Node(
      settings: settings, recovered: recovered, logger: logger, seed: random.next(),
      clock: { EventLoop.now }, wallClock: { EventLoop.wallClockMilliseconds() })
    transport = PeerTransport(loop: loop, seed: random.next(), logger: logger)
    let requestMetrics = RequestMetrics()
    gate = RequestGate(replica, requestMetrics)
    http = HTTPServer(
      loop: loop, handler: gate, limits: HTTPLimits(maximumValue: settings.maximumValueSize),
      maximumConnections: connectionLimit(configuration), metrics: requestMetrics, logger: logger)
    http.setAccessLog(accessLog)
    gate.metrics = { [unowned self] in metricsText() }
    replica.transport = transport
    replica.replies = http
    transport.delegate = replica
    replica.requestAnotherTurn = { [loop] in loop.requestAnotherTurn() }
    replica.onFatal = { [unowned self] error in
      outcome = error
      loop.stop()
    }
    timer = Timer(loop)
    timer.didFire = { [unowned self] in replica.timerFired() }
    loop.endOfTurn = { [unowned self] in endTurn() }
  }

  private func endTurn() {
    replica.endTurn()
    gate.hasAsked = false
    http.endTurn()
    transport.flush()
    // What was answered made room for requests that waited behind: they are the next turn's work.
    if gate.hasAsked { loop.requestAnotherTurn() }
    stepStop()
    warnOfLongTurn()
    reports.endTurn(reportedState, at: replica.now) { replica.summary }
    var deadline = min(replica.nextDeadline, reports.deadline)
    deadline = min(deadline, stopStep)
    timer.arm(at: deadline)
  }

  private var reportedState: ServiceReports.Told {
    ServiceReports.Told(
      role: replica.raft.role, term: replica.raft.currentTerm, leader: replica.raft.leader,
      configuration: replica.raft.configurations.currentIndex, isStopping: replica.isStopping)
  }

  /// Each record above the threshold is told, so that a node that stalls
  /// says so and does not chatter.
  private func warnOfLongTurn() {
    guard loop.longestTurn > longestTurn else { return }
    longestTurn = loop.longestTurn
    logger.warning("a turn of the loop took \(longestTurn.milliseconds) ms, the longest so far")
  }

  private func start() {
    for name in configuration.source.unknownVariables {
      logger.warning("the environment's \(name) is no setting and was ignored")
    }
    let raft = replica.raft.lastIndex
    logger.info(
      "raftkvd \(settings.version): HTTP on \(configuration.httpAddress), Raft on "
        + "\(configuration.raftAddress), data in \(configuration.dataDirectory), "
        + "log to entry \(raft)")
    do throws(LoopError) {
      signals = try Signals.watchForStop(loop) { [unowned self] in didReceiveStop() }
      signals.append(try Signals.watchForReload(loop) { [unowned self] in reload() })
    } catch { logger.warning("signals cannot be watched: \(error)") }
    reports.isReady(at: loop.now)
    if replica.isWaiting || replica.isLearner {
      if configuration.joinAddresses.isEmpty {
        logger.info("in no cluster yet: waits to be joined (GET /join on a member)")
      } else {
        joiner = Joiner(
          loop: loop, settings: settings, addresses: configuration.joinAddresses, logger: logger,
          isMember: { [unowned self] in replica.isVoter })
        joiner?.start()
      }
    }
  }

  // MARK: Stopping

  /// The first signal asks, the second one insists.
  private func didReceiveStop() {
    guard stopDeadline == nil else {
      logger.info("told again to stop: ends at once")
      ProcessExit.now(ExitCode.success.rawValue)
    }
    logger.info("stopping")
    reports.isStopping()
    stopDeadline = loop.now + Self.stopTime
    joiner?.stop()
    http.beginDrain()
    replica.beginStop()
  }

  /// Leadership goes, and has arrived; what was taken is answered; then the doors close, behind the
  /// last client or when idle ones have had their time.
  private func stepStop() {
    guard let stopDeadline else { return }
    let now = replica.now
    if now >= stopDeadline { ProcessExit.now(ExitCode.success.rawValue) }
    let elapsed = Self.stopTime - (stopDeadline - now)
    if elapsed < Self.patience {
      // Another turn comes with whatever makes a difference, and at the latest for the deadline.
      let isUnderWay = replica.isTransferring
      if replica.handOver() {
        if !isUnderWay { loop.requestAnotherTurn() }
        return
      }
      if replica.awaitsSuccessor || replica.hasPendingRequests { return }
      if http.count > 0, elapsed < Self.drainTime { return }
    }
    if http.isListening {
      http.endDrain()
      // Whatever was accepted meanwhile is read in one more turn.
      return loop.requestAnotherTurn()
    }
    let isDone = http.isQuiet && !http.isBusy && !replica.hasPendingRequests
    guard isDone || elapsed >= Self.patience else { return }
    logger.info("stopped")
    loop.stop()
  }

  /// When the stop wants its next turn.
  private var stopStep: Instant {
    guard let stopDeadline else { return .distantFuture }
    let start = Instant(nanoseconds: stopDeadline.nanoseconds - Self.stopTime.nanoseconds)
    let steps = [start + Self.drainTime, start + Self.patience, stopDeadline]
    return steps.first { $0 > replica.now } ?? stopDeadline
  }
}

/// Stands between connections and replica, and notes what passes.
final class RequestGate: RequestHandler {
  private let replica: Server.Node
  private let requestMetrics: RequestMetrics
  /// All of `/metrics`. Wired once.
  var metrics: () -> [UInt8] = { [] }
  /// Something was asked since this was last cleared.
  var hasAsked = false

  init(_ replica: Server.Node, _ requestMetrics: RequestMetrics) {
    self.replica = replica
    self.requestMetrics = requestMetrics
  }

  func handle(_ request: ClientRequest, token: RequestToken) -> Disposition {
    hasAsked = true
    // The replica knows its own part only.
    if case .metrics = request { return .reply(.metrics(metrics())) }
    let disposition = replica.handle(request, token: token)
    requestMetrics.didParse(at: replica.now)
    return disposition
  }

  var writeRefusal: Reply? { replica.writeRefusal }
}

extension FatalError {
  init(_ error: RecoveryError) {
    let code: ExitCode =
      switch error {
      case .locked: .locked
      case .foreign: .foreignData
      case .newerFormat: .newerFormat
      case .corrupt: .corruptData
      case .io: .diskFailure
      }
    self.init(error.description, code)
  }
}
