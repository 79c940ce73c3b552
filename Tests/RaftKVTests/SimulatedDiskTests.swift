import RaftKV
import Simulation
import Testing

/// The disk of the simulator must be at least as treacherous as a real one, and no more.
@Suite("SimulatedDisk")
struct SimulatedDiskTests {
  private static let old = [UInt8](repeating: 1, count: 2048)
  private static let new = [UInt8](repeating: 2, count: 2048)

  /// A file with durable old content that is open, over `seed`.
  private func disk(_ seed: Int, _ mode: OpenMode) throws -> (SimulatedDisk, FileID) {
    let disk = SimulatedDisk(random: Random(seed: UInt64(seed)))
    disk.put(Self.old, in: "file")
    return (disk, try disk.open("file", mode))
  }

  private func write(_ disk: SimulatedDisk, _ file: FileID) throws {
    try Self.new.withUnsafeBytes { try disk.write(file, at: 0, $0) }
  }

  @Test("a completed write on a durable file survives every loss of power")
  func durableWrite() throws {
    for seed in 0..<50 {
      let (disk, file) = try disk(seed, .durable)
      try write(disk, file)
      disk.crash()
      #expect(disk.contents(of: "file") == Self.new)
    }
  }

  @Test("a write under way leaves each sector old, new, torn or zero, and no other sector touched")
  func interruptedWrite() throws {
    var sectors: [[UInt8]] = []
    for seed in 0..<100 {
      let (disk, file) = try disk(seed, .durable)
      let middle = Array(Self.new[..<1024])
      middle.withUnsafeBytes { bytes in
        disk.submit(.write(file, at: 512, [bytes])) { _ in }
        disk.crash()
      }
      let contents = disk.contents(of: "file")
      #expect(contents[..<512] == Self.old[..<512] && contents[1536...] == Self.old[1536...])
      sectors += [Array(contents[512..<1024]), Array(contents[1024..<1536])]
    }
    #expect(sectors.contains(Array(Self.old[..<512])))
    #expect(sectors.contains(Array(Self.new[..<512])))
    #expect(sectors.contains([UInt8](repeating: 0, count: 512)))
    #expect(sectors.contains { $0.contains(1) && $0.contains(2) })
  }

  @Test("what was not synced outlives the process, but not always the power")
  func unsyncedWrite() throws {
    var lost = 0
    for seed in 0..<50 {
      let disk = SimulatedDisk(random: Random(seed: UInt64(seed)))
      let file = try disk.open("file", .create)
      try disk.syncDirectory()
      try write(disk, file)
      disk.crash(losingPower: false)
      #expect(disk.contents(of: "file") == Self.new)
      disk.crash()
      if disk.contents(of: "file") != Self.new { lost += 1 }
    }
    #expect(lost > 25)
  }

  @Test("a failed sync loses pages that a later sync does not bring back")
  func failedSync() throws {
    var lost = 0
    for seed in 0..<50 {
      let disk = SimulatedDisk(random: Random(seed: UInt64(seed)))
      let file = try disk.open("file", .create)
      try disk.syncDirectory()
      try write(disk, file)
      disk.fault = { access, _ in access == .sync ? 5 : nil }
      #expect(throws: DiskError.self) { try disk.sync(file) }
      disk.fault = { _, _ in nil }
      try disk.sync(file)
      #expect(disk.contents(of: "file") == Self.new, "the page cache goes on showing them")
      disk.crash()
      if disk.contents(of: "file") != Self.new { lost += 1 }
    }
    #expect(lost > 25)
  }

  @Test("a name is durable with the directory's sync, and sometimes not before")
  func rename() throws {
    var kept = 0
    for seed in 0..<50 {
      let (disk, _) = try disk(seed, .read)
      try disk.rename("file", to: "other")
      disk.crash()
      if disk.names == ["other"] { kept += 1 } else { #expect(disk.names == ["file"]) }
      let name = disk.names[0]
      try disk.rename(name, to: "final")
      try disk.syncDirectory()
      disk.crash()
      #expect(disk.names == ["final"])
    }
    #expect(kept > 5 && kept < 45)
  }

  @Test("an open file can be read after its name is gone, and takes space until it is closed")
  func unlinked() throws {
    let (disk, file) = try disk(1, .read)
    disk.quota = 8192
    func free() -> Int? {
      var free: Int?
      disk.submit(.freeSpace) { free = try? $0.get() }
      while disk.step() {}
      return free
    }
    try disk.remove("file")
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = try buffer.withUnsafeMutableBytes { try disk.read(file, at: 0, into: $0) }
    #expect(count == 2048 && Array(buffer[..<count]) == Self.old)
    #expect(free() == 4096)
    disk.close(file)
    #expect(free() == 8192)
  }

  @Test("nothing of a dead process completes, and its files are closed")
  func deadProcess() throws {
    let (disk, file) = try disk(1, .durable)
    var completions = 0
    disk.submit(.sync(file)) { _ in completions += 1 }
    disk.accessesUntilCrash = 1
    #expect(!disk.step() && disk.hasCrashed && completions == 0)
    disk.crash()
    #expect(!disk.step() && completions == 0)
    #expect(throws: DiskError.self) { try disk.size(file) }
  }

  @Test("the same seed is the same disk")
  func deterministic() throws {
    func life() throws -> [UInt8] {
      let (disk, file) = try disk(5, .durable)
      disk.shortWrites = 128
      Self.new.withUnsafeBytes { bytes in
        for offset in 0..<8 { disk.submit(.write(file, at: offset * 2048, [bytes])) { _ in } }
        for _ in 0..<4 { _ = disk.step() }
        disk.crash()
      }
      return disk.contents(of: "file")
    }
    #expect(try life() == life())
  }
}
