import Foundation
import Glibc

/// One byte of a stopped node's data turned over.
struct Damage: CustomStringConvertible {
  var file: String
  var offsets: [Int]
  /// No node can do without it; other files may have become needless, or be mended from a second
  /// copy.
  var isVital: Bool

  var description: String {
    "\(file) at \(offsets.map(String.init).joined(separator: " and "))"
  }

  /// Damages a file of `directory`; nil where there is none to damage.
  static func draw(_ directory: String, _ random: inout Seeded) -> Damage? {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
    let damage: Damage?
    switch random.below(10) {
    case 0: damage = Damage(file: "identity", offsets: [20], isVital: true)
    // One slot alone is mended from the other.
    case 1: damage = Damage(file: "hard-state", offsets: [20], isVital: false)
    case 2: damage = Damage(file: "hard-state", offsets: [20, 65_556], isVital: true)
    case 3...5:
      let snapshot = names.last { $0.hasPrefix("snapshot-") && !$0.hasSuffix(".tmp") }
      damage = snapshot.flatMap { ofSnapshot($0, in: directory, &random) }
    default:
      let logs = names.filter { $0.hasPrefix("log-") && !$0.hasSuffix(".tmp") }
      damage = ofLog(logs, in: directory, &random)
    }
    guard let damage, names.contains(damage.file) else { return nil }
    for offset in damage.offsets where !flip("\(directory)/\(damage.file)", offset) { return nil }
    return damage
  }

  private static func ofSnapshot(
    _ name: String, in directory: String, _ random: inout Seeded
  ) -> Damage? {
    var status = stat()
    guard stat("\(directory)/\(name)", &status) == 0, status.st_size > 0 else { return nil }
    return Damage(
      file: name, offsets: [random.below(Int(status.st_size))], isVital: false)
  }

  /// A byte of a sector in the first half of what is written, behind the segment's first batch:
  /// behind it stand later batches, which prove that it was acknowledged, and before it an earlier
  /// one, whose successor it is. Of a segment that the snapshot made needless it may not be missed,
  /// and neither may the first batch of the oldest one that is left, where the snapshot has it all.
  private static func ofLog(
    _ names: [String], in directory: String, _ random: inout Seeded
  ) -> Damage? {
    var written: [(name: String, sectors: [Int])] = []
    for name in names {
      guard let file = FileHandle(forReadingAtPath: "\(directory)/\(name)"),
        let bytes = try? file.readToEnd()
      else { continue }
      let sectors = (0..<bytes.count / 512).filter { sector in
        bytes[(sector * 512)..<(sector * 512 + 16)].contains { $0 != 0 }
      }
      let batches = sectors.filter { bytes[($0 * 512)...].starts(with: Self.batchMagic) }
      guard batches.count > 1 else { continue }
      let later = sectors.filter { $0 >= batches[1] }
      if later.count > 16 { written.append((name, later)) }
    }
    guard let (name, sectors) = written.last else { return nil }
    let sector = sectors[random.below(sectors.count / 2)]
    return Damage(file: name, offsets: [sector * 512 + random.below(16)], isVital: true)
  }

  private static let batchMagic = Array("RKVB".utf8)

  private static func flip(_ path: String, _ offset: Int) -> Bool {
    let descriptor = open(path, O_RDWR)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var byte: UInt8 = 0
    guard pread(descriptor, &byte, 1, offset) == 1 else { return false }
    byte = ~byte
    return pwrite(descriptor, &byte, 1, offset) == 1
  }
}
