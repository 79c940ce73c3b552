import RaftKV

/// The ordered map with a million keys, in no order.
enum MapBenchmarks {
  private static let count = 1_000_000

  static func run(_ measurement: Measurement) {
    let value = [UInt8](repeating: 118, count: 128)
    var map = OrderedMap()
    var next = Order()
    var key = [UInt8](repeating: 0, count: 16)

    func withKey<Result>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      var rest = number
      for place in key.indices.reversed() {
        key[place] = UInt8(48 + rest % 10)
        rest /= 10
      }
      return key.withUnsafeBytes(body)
    }

    func insert(_ number: Int) {
      withKey(number) { key in
        value.withUnsafeBytes { value in
          keep(
            map.insert(
              Entry(key: key, value: value, createIndex: LogIndex(1), modifyIndex: LogIndex(1))))
        }
      }
    }

    // Each round fills an empty map: the cost of an insertion rises as it grows.
    measurement.measure("map, insert, up to 1 000 000 keys", operations: count) { count in
      map = OrderedMap()
      for _ in 0..<count { insert(next.random(below: Self.count)) }
    }
    if map.isEmpty { for number in 0..<count { insert(number) } }
    measurement.measure("map, overwrite", operations: 300_000) { count in
      for _ in 0..<count { insert(next.random(below: Self.count)) }
    }
    measurement.measure("map, look-up", operations: 500_000) { count in
      for _ in 0..<count { keep(withKey(next.random(below: Self.count)) { map.find($0) }) }
    }
    measurement.measure("map, overwrite under a new snapshot", operations: 100_000) { count in
      let snapshot = map
      for _ in 0..<count { insert(next.random(below: Self.count)) }
      keep(snapshot)
    }
  }

  /// Numbers whose order no cache foresees.
  private struct Order {
    private var random = Random(seed: 7)
    mutating func random(below limit: Int) -> Int { Int(random.next() >> 1) % limit }
  }
}
