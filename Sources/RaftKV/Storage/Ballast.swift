/// A file that only takes space, to be given up when the disk is full.
final class Ballast<D: Disk> {
  private enum Phase {
    case present
    case absent
    case changing
  }

  private let disk: D
  private let size: Int
  private let pieceSize: Int
  private var phase: Phase

  /// Wired once. Called when the disk fails in another way than by lack of space or descriptors.
  var didFail: (DiskError) -> Void = { _ in }

  init(disk: D, size: Int, pieceSize: Int, isPresent: Bool) {
    self.disk = disk
    self.size = size
    self.pieceSize = pieceSize
    phase = isPresent ? .present : .absent
  }

  /// Frees the space; at once where there is none to free.
  func release(_ completion: @escaping () -> Void) {
    guard phase == .present else { return completion() }
    CoverageMark.hit(.ballastReleased)
    phase = .changing
    disk.submit(.remove(BallastFile.name)) { [self] _ in
      phase = .absent
      completion()
    }
  }

  /// Makes the file again where it leaves at least `reserve` bytes free. To find no space is no
  /// failure: nothing depends on the file, and the next occasion comes with the next segment.
  /// `completion` is called then too, once there is nothing more to wait for. Any other error is
  /// one of the whole disk (G2): the directory is synced through one descriptor, which tells of a
  /// failure once, and the next sync, of a segment or a snapshot, would not hear of it.
  func restore(after reserve: Int, _ completion: @escaping () -> Void = {}) {
    guard phase == .absent, size > 0 else { return completion() }
    phase = .changing
    disk.submit(.freeSpace) { [self] result in
      guard case .success(let bytes) = result, bytes >= size + reserve else {
        CoverageMark.hit(.noSpaceForBallast)
        phase = .absent
        return completion()
      }
      ZeroFile.make(
        disk: disk, name: BallastFile.name, size: size, pieceSize: pieceSize, head: ByteBuffer()
      ) { [self] error in
        phase = error == nil ? .present : .absent
        if let error, !error.isNoSpace, !error.isNoDescriptor { return didFail(error) }
        completion()
      }
    }
  }
}

enum BallastFile {
  static let name = "ballast"
}
