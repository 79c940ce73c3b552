import RaftKV

/// A part of raftkvd that reads what others wrote, with the rules it keeps whatever they wrote.
package protocol Fuzzer {
  static var name: String { get }
  /// Tries one input. Throws where a rule is broken; a trap is a broken rule too.
  static func judge(_ input: [UInt8]) throws
  /// Inputs to begin from: small, and no two of a kind.
  static var seeds: [[UInt8]] { get }
}

package enum Fuzzing {
  package static var all: [any Fuzzer.Type] {
    [
      RequestFuzzer.self, JSONFuzzer.self, FrameFuzzer.self, PeerFuzzer.self, LogFuzzer.self,
      SnapshotFuzzer.self, CommandFuzzer.self,
    ]
  }
}

/// A rule that did not hold.
package struct BrokenRule: Error, CustomStringConvertible {
  package var description: String
  init(_ description: String) { self.description = description }
}

func require(_ condition: Bool, _ rule: @autoclosure () -> String) throws {
  if !condition { throw BrokenRule(rule()) }
}

/// Lends a copy that ends where its memory ends, so that AddressSanitizer sees a read beyond it.
func withExactCopy<Result>(
  _ bytes: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) throws -> Result
) rethrows -> Result {
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
  defer { copy.deallocate() }
  copy.copyBytes(from: bytes)
  return try body(UnsafeRawBufferPointer(copy))
}

/// An input read as a script: what is missing at its end is zero.
struct Script {
  private let bytes: [UInt8]
  private(set) var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { offset >= bytes.count }

  mutating func byte() -> UInt8 {
    defer { offset += 1 }
    return offset < bytes.count ? bytes[offset] : 0
  }

  /// A small number, or once in a while one that tempts arithmetic.
  mutating func number() -> UInt64 {
    switch byte() {
    case 255: FrameCodec.maximumCounter
    case 254: FrameCodec.maximumCounter - 1
    case 253: UInt64(UInt32.max)
    case let small: UInt64(small)
    }
  }

  mutating func flag() -> Bool { byte() & 1 == 1 }

  /// Up to `limit` bytes behind a length.
  mutating func run(limit: Int = 65535) -> [UInt8] {
    let length = Int(byte()) | Int(byte()) << 8
    let end = min(bytes.count, offset + min(length, limit))
    guard offset < end else { return [] }
    defer { offset = end }
    return Array(bytes[offset..<end])
  }

  mutating func rest() -> [UInt8] {
    defer { offset = bytes.count }
    return offset < bytes.count ? Array(bytes[offset...]) : []
  }
}

/// How a stream may come: whole, byte by byte, and in pieces that the input itself decides.
func splittings(of bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
  var ways: [[ArraySlice<UInt8>]] = []
  if bytes.count <= 2048 { ways.append(bytes.indices.map { bytes[$0...$0] }) }
  var state = bytes.reduce(UInt64(bytes.count)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  for _ in 0..<2 {
    var pieces: [ArraySlice<UInt8>] = []
    var start = 0
    while start < bytes.count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let end = min(bytes.count, start + 1 + Int(state >> 33) % 700)
      pieces.append(bytes[start..<end])
      start = end
    }
    ways.append(pieces)
  }
  return ways
}
