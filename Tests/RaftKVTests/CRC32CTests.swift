import RaftKV
import Testing

@Suite("CRC32C")
struct CRC32CTests {
  @Test("RFC 3720 B.4: 32 bytes of zeros, of ones, ascending")
  func vectors() {
    #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(checksum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
    #expect(checksum((0..<32).map { UInt8($0) }) == 0x46dd_794e)
  }

  @Test("the instruction agrees with the table, at every length and split")
  func twin() {
    let bytes = (0..<100).map { UInt8(truncatingIfNeeded: $0 * 37) }
    for length in 0...bytes.count {
      let piece = Array(bytes[..<length])
      piece.withUnsafeBytes { piece in
        let whole = CRC32C.checksum(piece)
        #expect(whole == CRC32C.checksumByTable(piece))
        let half = UnsafeRawBufferPointer(rebasing: piece[..<(length / 2)])
        let rest = UnsafeRawBufferPointer(rebasing: piece[(length / 2)...])
        #expect(CRC32C.checksum(rest, continuing: CRC32C.checksum(half)) == whole)
      }
    }
  }

  private func checksum(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { CRC32C.checksum($0) }
  }
}
