/// An open segment file. It is closed when nobody, no read in flight either, holds it any longer; a
/// removed segment therefore stays readable for those who began before.
final class Segment<D: Disk> {
  let id: UInt64
  let file: FileID
  let size: Int
  /// The header's checksum, which every batch header continues: a batch belongs to this file alone.
  let seed: UInt32
  private let disk: D

  /// Where the next batch goes. Invariant: whole sectors, sectorSize <= end <= size.
  var end = LogFormat.sectorSize
  /// The highest index of any entry ever written here, truncated ones included.
  var highestIndex = LogIndex.zero

  init(disk: D, file: FileID, header: SegmentHeader, seed: UInt32) {
    self.disk = disk
    self.file = file
    self.seed = seed
    id = header.id
    size = header.size
  }

  deinit { disk.close(file) }

  var room: Int { size - end }
}

/// Where in the log something stands: words for messages.
struct LogPlace: CustomStringConvertible {
  var segment: UInt64
  var offset: Int
  var description: String { "\(SegmentHeader.name(segment)) at \(offset)" }
}
