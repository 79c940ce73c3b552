import Testing

@testable import RaftKV
@testable import Simulation

@Suite("ZeroFile")
struct ZeroFileTests {
  /// Neither whole pieces nor whole sectors.
  private static let size = 10_001
  private static let head = (0..<512).map { UInt8($0 % 251 + 1) }
  private static let whole = head + [UInt8](repeating: 0, count: size - head.count)

  private func headBuffer() -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.append(Self.head)
    return buffer
  }

  private func make(
    _ disk: SimulatedDisk, isAllocated: Bool = false, _ completion: @escaping (DiskError?) -> Void
  ) {
    ZeroFile.make(
      disk: disk, name: "a", size: Self.size, pieceSize: 4096, head: headBuffer(),
      isAllocated: isAllocated, completion: completion)
    while disk.step() {}
  }

  private func makeNow(_ disk: SimulatedDisk) throws(DiskError) {
    try ZeroFile.makeNow(
      disk: disk, name: "a", size: Self.size, pieceSize: 4096, head: headBuffer())
  }

  @Test("at every crash the file is there as a whole or not at all, and stays once it was reported")
  func crashes() throws {
    var finished = 0
    var found = 0
    for seed in 0..<400 {
      let disk = SimulatedDisk(random: Random(seed: UInt64(seed)))
      disk.shortWrites = 80
      disk.accessesUntilCrash = seed % 14 + 1
      var isDone = false
      if seed.isMultiple(of: 4) {
        isDone = (try? makeNow(disk)) != nil
      } else {
        disk.canAllocate = seed % 4 > 1
        make(disk, isAllocated: seed % 4 > 0) { isDone = $0 == nil }
      }
      disk.crash()
      let isThere = disk.names.contains("a")
      #expect(isThere || !isDone, "seed \(seed)")
      if isThere { #expect(disk.contents(of: "a") == Self.whole, "seed \(seed)") }
      finished += isDone ? 1 : 0
      found += isThere ? 1 : 0
    }
    #expect(finished > 40 && found < 360, "crashes fall before the end and after it")
  }

  @Test(
    "an error is told once, with nothing left behind and nothing open",
    arguments: [DiskAccess.open, .write, .sync, .rename])
  func errors(_ failing: DiskAccess) {
    let disk = SimulatedDisk(random: Random(seed: 1))
    disk.fault = { access, _ in access == failing ? 5 : nil }
    var errors: [Int32?] = []
    make(disk) { errors.append($0?.code) }
    #expect(errors == [5])
    #expect(disk.names.isEmpty && disk.openFiles == 0)
  }

  @Test(
    "space that cannot be had is an error; a file system that cannot allocate gets zeros",
    arguments: [5: [5], 28: [28], 95: [nil], 1: [nil]] as [Int32: [Int32?]])
  func allocation(_ code: Int32, _ expected: [Int32?]) {
    let disk = SimulatedDisk(random: Random(seed: 1))
    disk.fault = { access, _ in access == .allocate ? code : nil }
    var errors: [Int32?] = []
    make(disk, isAllocated: true) { errors.append($0?.code) }
    #expect(errors == expected && disk.openFiles == 0)
    #expect(disk.names == (expected == [nil] ? ["a"] : []))
    if expected == [nil] { #expect(disk.contents(of: "a") == Self.whole) }
  }

  @Test("a name that may not last is no success")
  func unsyncedName() {
    let disk = SimulatedDisk(random: Random(seed: 1))
    disk.fault = { access, _ in access == .syncDirectory ? 5 : nil }
    var errors: [Int32?] = []
    make(disk) { errors.append($0?.code) }
    #expect(errors == [5] && disk.openFiles == 0)
  }

  @Test("a start replaces what an earlier one left under the temporary name")
  func leftover() throws {
    let disk = SimulatedDisk(random: Random(seed: 1))
    disk.put([9, 9, 9], at: 20_000, in: "a" + DataDirectory.temporarySuffix)
    try makeNow(disk)
    #expect(disk.names == ["a"] && disk.openFiles == 0)
    #expect(disk.contents(of: "a") == Self.whole)
  }
}
