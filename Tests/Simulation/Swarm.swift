import RaftKV

/// What one seed chooses: the cluster, its tuning, and which faults it meets. Every kind of fault
/// is on with probability one half, so that each seed tests another mixture (swarm testing); one
/// seed in ten is calm, and must not see a second election.
struct Swarm {
  enum Feature: Int, CaseIterable {
    // How the wires are, all the time.
    case datagrams, loss, duplication, reordering, replay, delays
    // How the nodes are.
    case drift, powerLoss, shortWrites, snapshots, bigValues, slowTurns, tinyLimits
    // How the clients are.
    case clientDeaths, stubbornClients
    /// Faults may wait for a moment that matters.
    case triggers
    // Events.
    case slowLinks, clogs, swizzles, storms, filters
    case cuts, oneWayCuts, partitions, isolations, resets
    case pauses, shortPauses, suspends, clockSteps
    case kills, pairKills, massCrash, crashAtDisk
    case slowDisk, hungDisk, fullDisk, diskErrors, rot
    case wipes, moves, removals, stops, transfers
    // Several events that belong together.
    case handOvers, echoes, forsaking, stranding, laggards, muffling, lateRefusals

    var isEvent: Bool { rawValue > Feature.triggers.rawValue }
    var isStory: Bool { rawValue >= Feature.handOvers.rawValue }
  }

  var isCalm: Bool
  private var features: UInt64 = 0

  var hostCount: Int
  var clientCount: Int
  var keyCount: Int
  /// Between two requests of one client.
  var thinkTime: UInt64
  var readShare: Double
  var deleteShare: Double
  var safetyTime: UInt64
  var faultCount: Int

  var latency: (shortest: UInt64, mean: UInt64)
  var lossRate = 0.0
  var duplicationRate = 0.0
  var replayRate = 0.0
  /// How often a datagram comes late, and by how much at most.
  var delayRate = 0.0
  var longestDelay: UInt64 = 0
  /// How long a node's loop takes to come round; 0: at once.
  var turnTime: UInt64 = 0
  var parameters = Parameters()
  var limits = LogLimits()
  var snapshotEntries = 100_000
  var snapshotBytes = 64 << 20
  var keptTailBytes = 1 << 20
  var maximumHeld = 1024
  var maximumPendingReads = 65_536
  var maximumDeferred = 512
  var valueSizes: [Int] = [8]
  /// Clients send bytes, instead of calling what HTTP would call.
  var speaksHTTP = false

  func has(_ feature: Feature) -> Bool { features & (1 << UInt64(feature.rawValue)) != 0 }

  init(_ random: inout Random) {
    isCalm = random.coin(0.1)
    var chosen: UInt64 = 0
    for feature in Feature.allCases where random.coin(0.5) {
      chosen |= 1 << UInt64(feature.rawValue)
    }
    hostCount = random.pick([1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7])
    clientCount = 1 + random.below(6)
    keyCount = 1 + random.below(10)
    thinkTime = random.logarithmic(12 * Duration.millisecond, 500 * Duration.millisecond)
    readShare = random.unit()
    deleteShare = random.unit() * 0.3
    safetyTime = random.time(45 * Duration.second, 75 * Duration.second)
    faultCount = Int(random.logarithmic(8, 160))
    latency = (
      random.logarithmic(20 * Duration.microsecond, 2 * Duration.millisecond),
      random.logarithmic(20 * Duration.microsecond, 3 * Duration.millisecond)
    )
    if isCalm {
      chosen &= 1 << UInt64(Feature.snapshots.rawValue) | 1 << UInt64(Feature.bigValues.rawValue)
      faultCount = 0
    }
    features = chosen
    chooseRates(&random)
    chooseSizes(&random)
    speaksHTTP = random.coin(0.2)
    chooseTiming(&random)
  }

  private mutating func chooseRates(_ random: inout Random) {
    func rate(_ random: inout Random) -> Double {
      Double(random.logarithmic(1, 128)) / 1024
    }
    let (loss, duplication, replay) = (rate(&random), rate(&random), rate(&random))
    let delay = rate(&random)
    let late = random.logarithmic(10 * Duration.millisecond, 10 * Duration.second)
    if has(.datagrams) {
      if has(.loss) { lossRate = loss }
      if has(.duplication) { duplicationRate = duplication }
      if has(.replay) { replayRate = replay / 2 }
      if has(.delays) {
        delayRate = delay
        longestDelay = late
      }
    }
    let slow = random.logarithmic(50 * Duration.microsecond, 5 * Duration.millisecond)
    if has(.slowTurns) { turnTime = slow }
  }

  /// From the usual to what suits a wide area: a slow cluster is in each of its states for longer
  /// beside the same faults.
  private mutating func chooseTiming(_ random: inout Random) {
    let longest = random.logarithmic(300 * Duration.millisecond, 3 * Duration.second)
    parameters.electionTimeout = .milliseconds(Int(longest / Duration.millisecond))
    parameters.heartbeatInterval = parameters.electionTimeout / 6
  }

  /// Everything small, so that rotation, compaction and snapshots happen all the time.
  private mutating func chooseSizes(_ random: inout Random) {
    let segment = 512 * random.pick([16, 24, 32, 64, 128])
    limits.segmentSize = segment
    limits.maximumBatchSize = segment - 512
    limits.batchSize = min(limits.maximumBatchSize, random.pick([512, 1024, 4096, 16384]))
    limits.keptTail = random.pick([0, 4096, 65536])
    limits.memoryTail = random.pick([0, 2048, 16384, 1 << 20])
    limits.lastReserve = 2048
    limits.largeBatch = segment / 16
    limits.ballastSize = segment
    limits.preparationPiece = random.pick([4096, 65536])
    let entries = Int(random.logarithmic(5, 400))
    if has(.snapshots) {
      snapshotEntries = entries
      snapshotBytes = 512
      keptTailBytes = random.pick([0, 512, 8192])
    }
    parameters.snapshotChunkBytes = random.pick([16, 64, 512, 4096, 65536])
    parameters.maximumAppendBytes = random.pick([1, 64, 1024, 1 << 20])
    parameters.windowMessages = random.pick([1, 2, 4, 256])
    parameters.windowBytes = random.pick([1, 256, 4096, 8 << 20])
    if has(.tinyLimits) {
      parameters.uncommittedBytes = random.pick([1, 2048, 65536])
      maximumHeld = random.pick([1, 3, 1024])
      maximumPendingReads = random.pick([1, 4, 65_536])
      maximumDeferred = random.pick([1, 4, 512])
    }
    if has(.bigValues) { valueSizes = [8, 8, 100, 1000, 3000] }
  }
}
