import Testing

@testable import RaftKV

@Suite("CheckedSector")
struct CheckedSectorTests {
  private func sector(version: UInt32 = 3, fields: Int = 8) -> [UInt8] {
    let sector = CheckedSector.encode(magic: "RAFTTEST", version: version) {
      $0.append(repeating: 7, count: fields)
    }
    return Array(sector.readable)
  }

  /// What version 3 makes of it: how many bytes follow the version, or the fault.
  private func read(_ bytes: [UInt8]) -> String {
    bytes.withUnsafeBytes { bytes in
      do throws(CheckedSector.Fault) {
        var reader = try CheckedSector.decode(bytes, magic: "RAFTTEST", version: 3)
        var count = 0
        while reader.read(UInt8.self) != nil { count += 1 }
        return "\(count) bytes"
      } catch {
        return "\(error)"
      }
    }
  }

  @Test("fields up to the sector's end come back; what lies behind the sector is another's")
  func roundTrip() {
    for fields in [0, 8, 496] { #expect(read(sector(fields: fields)) == "496 bytes") }
    #expect(sector().count == 512)
    #expect(read(sector() + [1, 2, 3]) == "496 bytes")
    #expect(read(Array(sector().dropLast())) == "damaged")
    #expect(read([UInt8](repeating: 0, count: 512)) == "damaged")
  }

  @Test("no bit of it can change unnoticed; under another magic a whole one is foreign")
  func everyBit() {
    let whole = sector()
    for bit in 0..<512 * 8 {
      var changed = whole
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(read(changed) == (bit < 64 ? "foreign" : "damaged"), "bit \(bit)")
    }
    var both = whole
    both[0] ^= 1
    both[100] ^= 1
    #expect(read(both) == "damaged", "a foreign one is one that somebody wrote")
  }

  @Test("another version's is told as such, unless it is damaged")
  func versions() {
    #expect(read(sector(version: 4)) == "newer(4)")
    var damaged = sector(version: 4)
    damaged[511] ^= 1
    #expect(read(damaged) == "damaged")
  }
}
