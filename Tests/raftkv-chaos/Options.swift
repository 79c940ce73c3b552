/// `raftkv-chaos [--seconds S] [--nodes N[,N…]] [--seed S] [--binary PATH] …`
struct Options {
  static let usage = """
    usage: raftkv-chaos --binary PATH [options]
      --seconds S            how long (default 60); a round that has begun is finished
      --minutes M            the same in minutes
      --seed S               of faults and clients (default: from the clock)
      --nodes N[,N]          sizes of the clusters, by turns (default 3,5)
      --rounds R             rounds in a cluster's life (default 8)
      --storm S              seconds that faults last in a round (default 12)
      --clients C            (default 8)
      --election-timeout MS  of the nodes; heartbeats are a sixth of it (default 300)
      --mild                 no disks are filled: for a short run on a small machine
      --failpoints           the binary was built with -DFAILPOINTS
      --directory PATH       for data and logs (default /tmp)

    """

  var binary = ""
  var seconds = 60.0
  var seed = Clock.now / 1_000 % 1_000_000
  var nodeCounts = [3, 5]
  var rounds = 8
  var storm = 12.0
  var clients = 8
  var electionTimeout = 300
  var hasFailpoints = false
  var isMild = false
  var directory = "/tmp"

  /// Nil where something is not understood.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    while let flag = rest.popFirst() {
      if flag == "--failpoints" {
        hasFailpoints = true
        continue
      }
      if flag == "--mild" {
        isMild = true
        continue
      }
      guard let value = rest.popFirst() else { return nil }
      switch flag {
      case "--binary": binary = value
      case "--directory": directory = value
      case "--nodes":
        nodeCounts = value.split(separator: ",").compactMap { Int($0) }
        guard !nodeCounts.isEmpty, nodeCounts.allSatisfy({ $0 >= 3 && $0 <= 7 }) else {
          return nil
        }
      default:
        guard let number = Double(value), number > 0 else { return nil }
        switch flag {
        case "--minutes": seconds = number * 60
        case "--seconds": seconds = number
        case "--seed": seed = UInt64(number)
        case "--rounds": rounds = Int(number)
        case "--storm": storm = number
        case "--clients": clients = Int(number)
        case "--election-timeout": electionTimeout = Int(number)
        default: return nil
        }
      }
    }
    guard !binary.isEmpty else { return nil }
  }

  /// Of every node. Snapshots are due all the time, so that faults meet them.
  var flags: [String] {
    [
      "-heartbeat", "\(max(electionTimeout / 6, 1))ms", "-election-timeout",
      "\(electionTimeout)ms", "-snapshot-entries", "100", "-snapshot-bytes", "16KiB",
    ]
  }

  var leaseBound: UInt64 { UInt64(electionTimeout) * Clock.millisecond * 3 / 4 }
}
