import Glibc
import Simulation

/// `raftkv-sim --seed S [--trace]` replays one seed; `raftkv-sim --seeds N [--from S] [--seconds T]
/// [--jobs J]` runs many.
enum CommandLineTool {
  struct Options {
    var seed: UInt64?
    var count = 100
    var from: UInt64 = 1
    var seconds: Int?
    var jobs = 1
    var isTracing = false
  }

  static let usage = """
    usage: raftkv-sim --seed S [--trace]
           raftkv-sim --seeds N [--from S] [--jobs J] [--seconds T]

    """

  static func main() {
    guard let options = parse(Array(CommandLine.arguments.dropFirst())) else {
      complain(usage)
      exit(64)
    }
    if let seed = options.seed {
      exit(replay(seed, isTracing: options.isTracing) ? 0 : 1)
    }
    var campaign = Campaign(options)
    exit(campaign.run() ? 0 : 1)
  }

  /// On the error stream, at once: what is still to be seen if the code under test traps.
  static func complain(_ text: String) {
    fflush(nil)
    var text = text
    text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
  }

  private static func parse(_ arguments: [String]) -> Options? {
    var options = Options()
    var rest = arguments[...]
    while let flag = rest.popFirst() {
      if flag == "--trace" {
        options.isTracing = true
        continue
      }
      guard let value = rest.popFirst().flatMap({ UInt64($0) }) else { return nil }
      switch flag {
      case "--seed": options.seed = value
      case "--seeds": options.count = Int(value)
      case "--from": options.from = value
      case "--seconds": options.seconds = Int(value)
      case "--jobs": options.jobs = max(1, Int(value))
      default: return nil
      }
    }
    return options
  }

  /// Runs one seed; a failure is run again, recorded, to show what led to it.
  static func replay(_ seed: UInt64, isTracing: Bool = false) -> Bool {
    let outcome = Simulator(seed: seed, isRecording: isTracing).run()
    if isTracing { for line in outcome.lines { print(line) } }
    guard let failure = outcome.failure else {
      print(
        "seed \(seed) trace \(hexadecimal(outcome.trace)) events \(outcome.events) virtual "
          + "\(tenths(outcome.virtualSeconds))s ok")
      return true
    }
    print(
      "seed \(seed) trace \(hexadecimal(outcome.trace)) events \(outcome.events) virtual "
        + "\(tenths(outcome.virtualSeconds))s FAILED invariant \(failure.invariant.rawValue): "
        + failure.message)
    print("replay: raftkv-sim --seed \(seed) --trace")
    if !isTracing {
      let recorded = Simulator(seed: seed, isRecording: true).run()
      for line in recorded.lines.suffix(60) { print("  \(line)") }
    }
    return false
  }

  static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  static func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }
}
