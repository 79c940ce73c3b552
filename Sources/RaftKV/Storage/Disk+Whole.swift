/// Reads and writes that do not stop at a short count.
extension Disk {
  /// Writes all of `bytes`, in as many submissions as it takes. A short count may hide the error of
  /// its later part (libuv 1.44 does that), so nothing counts as written before the last byte is.
  /// The completion must own what keeps `bytes` alive.
  func submitWhole(
    _ file: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer,
    _ completion: @escaping (DiskError?) -> Void
  ) {
    submit(.write(file, at: offset, [bytes])) { [self] result in
      switch result {
      case .failure(let error): completion(error)
      case .success(bytes.count): completion(nil)
      case .success(let count):
        guard count > 0 else { return completion(DiskError(operation: "write", code: 5)) }
        CoverageMark.hit(.writeCameBackShort)
        let rest = UnsafeRawBufferPointer(rebasing: bytes[count...])
        submitWhole(file, at: offset + count, rest, completion)
      }
    }
  }

  /// Fills all of `buffer`; the file ending early is an I/O error, because we know what we wrote.
  func submitWhole(
    _ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer,
    _ completion: @escaping (DiskError?) -> Void
  ) {
    submit(.read(file, at: offset, buffer)) { [self] result in
      switch result {
      case .failure(let error): completion(error)
      case .success(buffer.count): completion(nil)
      case .success(let count):
        guard count > 0 else { return completion(DiskError(operation: "read", code: 5)) }
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
        submitWhole(file, at: offset + count, into: rest, completion)
      }
    }
  }

  /// Blocking: reads until the buffer is full or the file ends, and returns how much that was.
  func readWhole(
    _ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DiskError) -> Int {
    var count = 0
    while count < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
      let read = try read(file, at: offset + count, into: rest)
      if read == 0 { break }
      count += read
    }
    return count
  }

  /// Blocking: a small file that is there as a whole or not at all, through temp → sync → rename →
  /// sync directory.
  func replace(_ name: String, with bytes: UnsafeRawBufferPointer) throws(DiskError) {
    let temporary = name + DataDirectory.temporarySuffix
    do throws(DiskError) { try remove(temporary) } catch {
      guard error.isNotFound else { throw error }
    }
    let file = try open(temporary, .create)
    defer { close(file) }
    try write(file, at: 0, bytes)
    try sync(file)
    try rename(temporary, to: name)
    try syncDirectory()
  }
}
