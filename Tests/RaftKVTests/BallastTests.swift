import Simulation
import Testing

@testable import RaftKV

@Suite("Ballast")
struct BallastTests {
  private static let size = 16 << 10
  private let disk = SimulatedDisk(random: Random(seed: 1))

  private func ballast(size: Int = size) -> Ballast<SimulatedDisk> {
    Ballast(disk: disk, size: size, pieceSize: 4 << 10, isPresent: false)
  }

  /// How often it was told that this is over.
  private func restore(_ ballast: Ballast<SimulatedDisk>, after reserve: Int = 0) -> Int {
    var completions = 0
    ballast.restore(after: reserve) { completions += 1 }
    while disk.step() {}
    return completions
  }

  private var fileSize: Int? {
    disk.names == ["ballast"] ? disk.contents(of: "ballast").count : nil
  }

  @Test("it is made only where it leaves the reserve free, to the byte")
  func reserve() {
    let ballast = ballast()
    disk.quota = Self.size + 5000 - 1
    #expect(restore(ballast, after: 5000) == 1 && disk.names.isEmpty)
    disk.quota = Self.size + 5000
    #expect(restore(ballast, after: 5000) == 1 && fileSize == Self.size)
    let before = disk.accessCount
    #expect(restore(ballast) == 1 && disk.accessCount == before, "it is there already")
  }

  @Test("its space is free when its release is told; where there is none to free, at once")
  func release() {
    let ballast = ballast()
    #expect(restore(ballast) == 1 && fileSize == Self.size)
    var isFree: Bool?
    ballast.release { [disk] in isFree = disk.names.isEmpty }
    #expect(isFree == nil)
    while disk.step() {}
    #expect(isFree == true)
    var isToldAtOnce = false
    ballast.release { isToldAtOnce = true }
    #expect(isToldAtOnce && disk.isIdle)
    #expect(restore(ballast) == 1 && fileSize == Self.size, "it can come back")
  }

  @Test("what is being given up is not made again meanwhile")
  func restoreDuringRelease() {
    let ballast = ballast()
    #expect(restore(ballast) == 1)
    ballast.release {}
    #expect(restore(ballast) == 1 && disk.names.isEmpty)
  }

  @Test("not to succeed is told as the end of it, leaves nothing, and is tried again")
  func failure() {
    let ballast = ballast()
    for failing in [DiskAccess.freeSpace, .open, .write, .sync, .rename] {
      disk.fault = { access, _ in access == failing ? DiskError.noSpace : nil }
      #expect(restore(ballast) == 1 && disk.names.isEmpty, "\(failing)")
    }
    disk.fault = { _, _ in nil }
    #expect(restore(ballast) == 1 && fileSize == Self.size)
  }

  @Test(
    "G2 an error that is no lack of space is the disk's, and is told",
    arguments: [
      DiskAccess.write, .sync, .rename, .syncDirectory,
    ])
  func diskFailure(failing: DiskAccess) {
    let ballast = ballast()
    var failures = 0
    ballast.didFail = { _ in failures += 1 }
    disk.fault = { access, _ in access == failing ? 5 : nil }
    #expect(restore(ballast) == 0 && failures == 1)
  }

  @Test("one of no size is never made")
  func none() {
    #expect(restore(ballast(size: 0)) == 1 && disk.accessCount == 0)
  }
}
