import ArgumentParser
import RaftKV

/// A duration as people write it: `50ms`, `2s`, `1m`.
struct Duration: ExpressibleByArgument, CustomStringConvertible {
  var interval: Interval

  init(_ interval: Interval) { self.interval = interval }

  init?(argument: String) {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)]
    for (unit, milliseconds) in units where argument.hasSuffix(unit) {
      guard let count = Int(argument.dropLast(unit.count)), (0...86_400_000).contains(count)
      else { return nil }
      interval = .milliseconds(count * milliseconds)
      return
    }
    return nil
  }

  var description: String { "\(interval.milliseconds)ms" }
  var defaultValueDescription: String { description }
}

/// A size as people write it: `1048576`, `512KiB`, `64MiB`, `1GiB`.
struct ByteCount: ExpressibleByArgument, CustomStringConvertible {
  var count: Int

  init(_ count: Int) { self.count = count }

  init?(argument: String) {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)]
    guard let (unit, shift) = units.first(where: { argument.hasSuffix($0.0) }),
      let number = Int(argument.dropLast(unit.count)), (0...(Int.max >> 32)).contains(number)
    else { return nil }
    count = number << shift
  }

  var description: String {
    if count >= 1 << 20, count % (1 << 20) == 0 { return "\(count >> 20)MiB" }
    return "\(count)"
  }
  var defaultValueDescription: String { description }
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
  case debug, info, warning, error

  var level: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}
