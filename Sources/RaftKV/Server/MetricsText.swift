/// Prometheus' text format 0.0.4: for each metric HELP and TYPE, then its samples.
struct MetricsText: ~Copyable {
  private(set) var buffer = ByteBuffer()
  private var name: StaticString = ""

  enum Kind: String { case counter, gauge, histogram }

  typealias Labels = [(name: StaticString, value: String)]

  /// Begins a metric; every sample after it belongs to it.
  mutating func begin(_ name: StaticString, _ kind: Kind, _ help: StaticString) {
    self.name = name
    buffer.append("# HELP " as StaticString)
    buffer.append(name)
    buffer.append(UInt8.space)
    buffer.append(help)
    buffer.append("\n# TYPE " as StaticString)
    buffer.append(name)
    buffer.append(UInt8.space)
    buffer.append(text: kind.rawValue)
    buffer.append(UInt8.lineFeed)
  }

  mutating func sample(_ value: UInt64, _ labels: Labels = []) {
    beginSample("", labels)
    buffer.append(decimal: value)
    buffer.append(UInt8.lineFeed)
  }

  mutating func sample(seconds interval: Interval, _ labels: Labels = []) {
    beginSample("", labels)
    buffer.append(seconds: interval.nanoseconds)
    buffer.append(UInt8.lineFeed)
  }

  /// A metric of one sample.
  mutating func add(
    _ name: StaticString, _ kind: Kind, _ help: StaticString, _ value: UInt64
  ) {
    begin(name, kind, help)
    sample(value)
  }

  mutating func sample(_ histogram: Histogram, _ labels: Labels = []) {
    var total: UInt64 = 0
    let counts = histogram.counts
    for bucket in 0..<Histogram.boundCount {
      total += counts[bucket]
      beginSample("_bucket", labels, bound: Histogram.bound(bucket))
      buffer.append(decimal: total)
      buffer.append(UInt8.lineFeed)
    }
    beginSample("_bucket", labels + [("le", "+Inf")])
    buffer.append(decimal: histogram.count)
    buffer.append(UInt8.lineFeed)
    beginSample("_sum", labels)
    buffer.append(seconds: histogram.sum)
    buffer.append(UInt8.lineFeed)
    beginSample("_count", labels)
    buffer.append(decimal: histogram.count)
    buffer.append(UInt8.lineFeed)
  }

  private mutating func beginSample(
    _ suffix: StaticString, _ labels: Labels, bound: Interval? = nil
  ) {
    buffer.append(name)
    buffer.append(suffix)
    var isFirst = true
    for label in labels {
      buffer.append(isFirst ? UInt8(ascii: "{") : UInt8(ascii: ","))
      isFirst = false
      buffer.append(label.name)
      buffer.append("=\"" as StaticString)
      append(escaping: label.value)
      buffer.append(UInt8(ascii: "\""))
    }
    if let bound {
      buffer.append(isFirst ? UInt8(ascii: "{") : UInt8(ascii: ","))
      isFirst = false
      buffer.append("le=\"" as StaticString)
      buffer.append(seconds: bound.nanoseconds)
      buffer.append(UInt8(ascii: "\""))
    }
    if !isFirst { buffer.append(UInt8(ascii: "}")) }
    buffer.append(UInt8.space)
  }

  private mutating func append(escaping text: String) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        buffer.append(UInt8(ascii: "\\"))
        buffer.append(byte)
      case .lineFeed: buffer.append("\\n" as StaticString)
      default: buffer.append(byte)
      }
    }
  }
}

extension ByteBuffer {
  /// Nanoseconds as seconds, with as many decimals as needed: `0.000001024`.
  mutating func append(seconds nanoseconds: UInt64) {
    append(decimal: nanoseconds / 1_000_000_000)
    var rest = nanoseconds % 1_000_000_000
    guard rest > 0 else { return }
    append(UInt8(ascii: "."))
    var unit: UInt64 = 100_000_000
    while rest > 0 {
      append(UInt8(ascii: "0") + UInt8(rest / unit))
      rest %= unit
      unit /= 10
    }
  }
}
