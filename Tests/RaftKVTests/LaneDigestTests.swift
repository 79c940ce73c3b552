import Testing

@testable import RaftKV

struct LaneDigestTests {
  private func hash(_ value: [UInt8]) -> StateHash {
    let entry = value.withUnsafeBytes { value in
      [UInt8("k".utf8.first!)].withUnsafeBytes {
        Entry(
          key: $0, value: value, createIndex: LogIndex(1), modifyIndex: LogIndex(2))
      }
    }
    return entry.hash
  }

  private func value(_ count: Int) -> [UInt8] {
    var random = Random(seed: UInt64(count))
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  @Test("one changed bit, anywhere in a value, changes the hash")
  func bits() {
    for count in [511, 512, 513, 575, 576, 577, 1024, 4097] {
      var value = value(count)
      let whole = hash(value)
      for position in 0..<count {
        let bit = UInt8(1) << UInt8(position % 8)
        value[position] ^= bit
        #expect(hash(value) != whole, "byte \(position) of \(count)")
        value[position] ^= bit
      }
      #expect(hash(value) == whole)
    }
  }

  @Test("words that change places change the hash, in one lane or across lanes")
  func order() {
    let value = value(1024)
    let whole = hash(value)
    for (first, second) in [(0, 64), (0, 8), (16, 24), (8, 72), (0, 32), (56, 960)] {
      var swapped = value
      for byte in 0..<8 { swapped.swapAt(first + byte, second + byte) }
      #expect(hash(swapped) != whole, "words at \(first) and \(second)")
    }
  }

  @Test("zeros count: values of zeros alone, of different lengths, all differ")
  func zeros() {
    let hashes = (0...2048).map { hash(Array(repeating: 0, count: $0)) }
    #expect(Set(hashes).count == hashes.count)
  }

  @Test("the digest is the one that snapshots state: a change needs a new version of the hash")
  func stability() {
    #expect(StateHash.version == 2)
    let bytes = (0..<128).map { UInt8($0) }
    let digest = bytes.withUnsafeBytes { LaneDigest(of: $0) }
    let words = [digest.first, digest.second, digest.third, digest.fourth]
    #expect(
      words.map { String($0, radix: 16) } == [
        "42472ba95469f704",
        "c57f865d073b7504",
        "23929237b3879eab",
        "6db088cad308c5eb",
      ])
  }
}
