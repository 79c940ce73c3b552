#if FAILPOINTS
/// What is written where decides which failpoint a disk operation passes.
extension UVDisk {
  /// A submission that fails is made a harmless one whose completion says so: completions come
  /// later.
  func passing(
    _ operation: DiskOperation, _ completion: @escaping (DiskResult) -> Void
  ) -> (DiskOperation, (DiskResult) -> Void) {
    guard let site = site(of: operation) else { return (operation, completion) }
    if let error = Failpoint.pass(.before, site) {
      return (.freeSpace, { _ in completion(.failure(error)) })
    }
    return (
      operation,
      { result in
        let error = Failpoint.pass(.after, site)
        completion(error.map(DiskResult.failure) ?? result)
      }
    )
  }

  /// The blocking half: `call` between its two failpoints.
  func passing<Value>(
    _ site: Failpoint.Site?, _ call: () throws(DiskError) -> Value
  ) throws(DiskError) -> Value {
    guard let site else { return try call() }
    if let error = Failpoint.pass(.before, site) { throw error }
    let value = try call()
    if let error = Failpoint.pass(.after, site) { throw error }
    return value
  }

  private func site(of operation: DiskOperation) -> Failpoint.Site? {
    switch operation {
    case .write(let id, at: _, _): writeSite(id)
    case .rename: .rename
    case .syncDirectory: .directorySync
    case .open, .read, .sync, .truncate, .allocate, .remove, .freeSpace: nil
    }
  }

  func writeSite(_ id: FileID) -> Failpoint.Site? {
    let name = file(id).name
    if name.hasPrefix(HardStateSlot.fileName) { return .hardStateWrite }
    if name.hasPrefix(SnapshotName.prefix) { return .snapshotWrite }
    // A segment that is prepared has another name yet.
    return SegmentHeader.id(name: name) != nil ? .appendWrite : nil
  }
}
#endif
