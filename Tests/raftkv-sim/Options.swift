/// What the command line asks for.
struct Options {
  var seed: UInt64?
  var schedule: String?
  var isTracing = false
  var count: UInt64?
  var from: UInt64 = 1
  var regress: String?
  var seconds: Int?
  var jobs = 1
  /// Only the seeds whose cluster begins with so many nodes.
  var hostCount: Int?
  /// Each seed is run twice, and must give the same trace.
  var isTwice = false
  var shrinkSeconds = 30
  var isWorker = false
  /// The name of a planted bug, in a build that has them; see `PlantedBug`.
  var plant: String?
  var isListingPlants = false
  /// Of a hunt: what is late does not count, only what is wrong.
  var isSafetyOnly = false

  static let usage = """
    usage: raftkv-sim --seed S [--schedule FILE] [--trace] [--twice] [--shrink-seconds T]
           raftkv-sim --seeds N [--from S] [--jobs J] [--nodes K] [--seconds T] [--twice]
                      [--shrink-seconds T]
           raftkv-sim --regress FILE [--jobs J] [--twice] [--shrink-seconds T]
           raftkv-sim --plant NAME --seed S
           raftkv-sim --plant NAME[,NAME…] --seeds N [--from S] [--seconds T] [--safety]
           raftkv-sim --plants

    --seed      runs one seed; a failure is shown as a timeline and cut down
    --schedule  only this much of the seed's run: what a failure was cut down to
    --trace     tells every event, in this very process
    --seeds     runs N seeds from S in J processes, beginning no more after T seconds
    --nodes     of these seeds only those that begin with K nodes
    --regress   runs the seeds in FILE, one a line, # for comments
    --twice     each seed twice: the two traces must be the same
    --plant     with this bug, in a build with -D PLANTED_BUGS; of several, or `all`: how many seeds
                it takes to find each
    --safety    with --plant: what is late does not count, only what is wrong
    --plants    lists the bugs: name, trap, what is wrong

    """

  /// Nil where the arguments make no sense.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    while let flag = rest.popFirst() {
      switch flag {
      case "--trace": isTracing = true
      case "--twice": isTwice = true
      case "--worker": isWorker = true
      case "--plants": isListingPlants = true
      case "--safety": isSafetyOnly = true
      case "--schedule", "--regress", "--plant":
        guard let text = rest.popFirst() else { return nil }
        switch flag {
        case "--schedule": schedule = text
        case "--regress": regress = text
        default: plant = text
        }
      default:
        guard let value = rest.popFirst().flatMap({ UInt64($0) }), set(flag, value) else {
          return nil
        }
      }
    }
    let modes = [seed != nil, count != nil, regress != nil, isWorker, isListingPlants]
    guard modes.reduce(0, { $0 + ($1 ? 1 : 0) }) == 1 else { return nil }
    if schedule != nil || isTracing, seed == nil { return nil }
  }

  private mutating func set(_ flag: String, _ value: UInt64) -> Bool {
    switch flag {
    case "--seed": seed = value
    case "--seeds": count = value
    case "--from": from = value
    case "--seconds": seconds = Int(clamping: value)
    case "--nodes": hostCount = Int(clamping: value)
    case "--jobs" where 1...256 ~= value: jobs = Int(value)
    case "--shrink-seconds": shrinkSeconds = Int(clamping: value)
    default: return false
    }
    return true
  }

  /// Of a worker for these options.
  var workerArguments: [String] {
    ["--worker"] + (isTwice ? ["--twice"] : []) + (plant.map { ["--plant", $0] } ?? [])
  }
}
