/// Giving space back. A file goes only after the state that makes it needless is durable, oldest
/// first, each removal durable before the next: so what a crash leaves is always a run without a
/// gap.
extension LogStore {
  /// A durable snapshot covers the log through `entry`. Whole segments before it are given up, but
  /// the kept tail stays, and so does the segment that recovery begins with.
  package func compact(through entry: EntryID) {
    contents.markSnapshot(through: entry.index)
    var remaining = segments.reduce(0) { $0 + $1.end }
    var keep = segments[0].id
    for segment in segments {
      remaining -= segment.end
      guard segment.id < lastDurableSegment, segment.highestIndex <= entry.index,
        remaining >= limits.keptTail || preparer.isOutOfSpace
      else { break }
      keep = segment.id + 1
    }
    contents.drop(before: keep)
    retire(before: keep)
    if retired.isEmpty { resumePreparation() }
  }

  func retire(before id: UInt64) {
    while let first = segments.first, first.id < id {
      retired.append(first)
      segments.removeFirst()
    }
    removeNext()
  }

  private func removeNext() {
    #if PLANTED_BUGS
    if PlantedBug.segmentsRemovedBackwards.isActive, !isRemoving, retired.count > 1 {
      retired.reverse()
    }
    #endif
    guard !isRemoving, !hasFailed, let segment = retired.first else { return }
    if retired.count > 1 { CoverageMark.hit(.segmentsRetiredTogether) }
    isRemoving = true
    disk.submit(.remove(SegmentHeader.name(segment.id))) { [self] result in
      if case .failure(let error) = result, !error.isNotFound { return didNotRemove(error) }
      disk.submit(.syncDirectory) { [self] result in
        if case .failure(let error) = result { return fail(StorageFailure(error)) }
        isRemoving = false
        retired.removeFirst()
        if retired.isEmpty { resumePreparation() }
        removeNext()
      }
    }
  }

  /// Nothing is lost by a file too many: it is tried again with the next compaction.
  private func didNotRemove(_ error: DiskError) {
    isRemoving = false
    logger.warning("a segment that is no longer needed stays: \(error)")
  }

  // MARK: Space

  /// Gives up the ballast, so that a snapshot can be written on a full disk, and keeps the
  /// preparation of segments from taking that space until `compact`, `resumePreparation` or
  /// `takeBackBallast`.
  package func releaseBallast(_ completion: @escaping () -> Void) {
    preparer.isPaused = true
    ballast.release(completion)
  }

  /// The snapshot came to nothing. Its space is the ballast's again before a segment may have it:
  /// else the log would take it, and nothing be left for a snapshot once deletes have made that
  /// small enough.
  package func takeBackBallast() {
    ballast.restore(after: 0) { [self] in resumePreparation() }
  }

  /// Space may be there again: prepare what is missing.
  package func resumePreparation() {
    preparer.isPaused = false
    preparer.expectSpace()
    if preparer.spare == nil {
      preparer.prepare(current.id + 1)
    } else {
      ballast.restore(after: limits.segmentSize)
    }
  }
}
