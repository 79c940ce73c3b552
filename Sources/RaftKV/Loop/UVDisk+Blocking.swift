import Glibc

/// The half that blocks, for start and recovery. Interrupted calls are made again.
extension UVDisk {
  /// Names of files in order, without directories (`lost+found` on a volume of our own) and without
  /// the lock: what matters is whether there is data.
  package func list() throws(DiskError) -> [String] {
    let operation = "list \(path)"
    let descriptor = try Self.attempt(operation) {
      Int(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    }
    guard let stream = fdopendir(Int32(descriptor)) else {
      let code = errno
      Glibc.close(Int32(descriptor))
      throw DiskError(operation: operation, code: code)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      guard entry.pointee.d_type != UInt8(DT_DIR) else { continue }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." && name != DirectoryLock.fileName { names.append(name) }
    }
    guard errno == 0 else { throw DiskError(operation: operation, code: errno) }
    return names.sorted()
  }

  package func open(_ name: String, _ mode: OpenMode) throws(DiskError) -> FileID {
    check(name)
    let descriptor = try Self.attempt("open \(name)") {
      Int(openat(directory, name, mode.flags, mode_t(OpenMode.permissions)))
    }
    return register(Int32(descriptor), name)
  }

  package func size(_ id: FileID) throws(DiskError) -> Int {
    let file = file(id)
    var status = stat()
    _ = try Self.attempt("stat \(file.name)") { Int(fstat(file.descriptor, &status)) }
    return Int(status.st_size)
  }

  package func read(
    _ id: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DiskError) -> Int {
    let file = file(id)
    var done = 0
    while done < buffer.count {
      let count = try Self.attempt("read \(file.name)") {
        pread(file.descriptor, buffer.baseAddress! + done, buffer.count - done, offset + done)
      }
      if count == 0 { break }
      done += count
    }
    didRead?()
    return done
  }

  package func write(
    _ id: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer
  ) throws(DiskError) {
    #if FAILPOINTS
    try passing(writeSite(id)) { () throws(DiskError) in try writeNow(id, at: offset, bytes) }
    #else
    try writeNow(id, at: offset, bytes)
    #endif
  }

  private func writeNow(
    _ id: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer
  ) throws(DiskError) {
    let file = file(id)
    var done = 0
    while done < bytes.count {
      done += try Self.attempt("write \(file.name)") {
        pwrite(file.descriptor, bytes.baseAddress! + done, bytes.count - done, offset + done)
      }
    }
  }

  package func truncate(_ id: FileID, to size: Int) throws(DiskError) {
    let file = file(id)
    _ = try Self.attempt("truncate \(file.name)") { Int(ftruncate(file.descriptor, size)) }
  }

  /// Data, and of the metadata all that is needed to read it again, the size above all.
  package func sync(_ id: FileID) throws(DiskError) {
    let file = file(id)
    _ = try Self.attempt("sync \(file.name)") { Int(fdatasync(file.descriptor)) }
  }

  package func rename(_ source: String, to target: String) throws(DiskError) {
    check(source)
    check(target)
    #if FAILPOINTS
    try passing(.rename) { () throws(DiskError) in try renameNow(source, target) }
    #else
    try renameNow(source, target)
    #endif
  }

  private func renameNow(_ source: String, _ target: String) throws(DiskError) {
    _ = try Self.attempt("rename \(source) to \(target)") {
      Int(renameat(directory, source, directory, target))
    }
  }

  package func remove(_ name: String) throws(DiskError) {
    check(name)
    _ = try Self.attempt("remove \(name)") { Int(unlinkat(directory, name, 0)) }
  }

  package func syncDirectory() throws(DiskError) {
    #if FAILPOINTS
    try passing(.directorySync) { () throws(DiskError) in try syncDirectoryNow() }
    #else
    try syncDirectoryNow()
    #endif
  }

  private func syncDirectoryNow() throws(DiskError) {
    _ = try Self.attempt("sync \(path)") { Int(fsync(directory)) }
  }

  /// Where a file is for functions that take no directory.
  func path(of name: String) -> String {
    check(name)
    return "\(path)/\(name)"
  }

  private func check(_ name: String) {
    precondition(
      !name.isEmpty && !name.utf8.contains(UInt8(ascii: "/")) && name != DirectoryLock.fileName,
      "the data directory is flat, and its lock is not data")
  }

  // MARK: The directory

  static func openOrMakeDirectory(_ path: String) throws(DiskError) -> Int32 {
    do {
      return try openDirectory(path)
    } catch  where error.isNotFound {
      try makeDirectory(path)
      return try openDirectory(path)
    }
  }

  private static func openDirectory(_ path: String) throws(DiskError) -> Int32 {
    Int32(
      try attempt("open \(path)") {
        Int(Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
      })
  }

  /// Makes a directory for us alone, and its parents. A new directory survives a power loss only
  /// once the one above it is synced.
  private static func makeDirectory(_ path: String) throws(DiskError) {
    let parent = parent(of: path)
    let above = try openOrMakeDirectory(parent)
    defer { Glibc.close(above) }
    do {
      _ = try attempt("mkdir \(path)") { Int(mkdir(path, 0o700)) }
    } catch  where error.code == EEXIST {
      return  // Somebody else was faster; whether it is a directory the next open will tell.
    }
    _ = try attempt("sync \(parent)") { Int(fsync(above)) }
  }

  private static func parent(of path: String) -> String {
    let slash = UInt8(ascii: "/")
    var rest = path.utf8[...]
    while rest.last == slash { rest.removeLast() }
    guard let cut = rest.lastIndex(of: slash) else { return "." }
    return cut == rest.startIndex ? "/" : String(Substring(rest[..<cut]))
  }

  /// The call's result, or its errno as an error.
  static func attempt(
    _ operation: @autoclosure () -> String, _ call: () -> Int
  ) throws(DiskError) -> Int {
    while true {
      let result = call()
      if result >= 0 { return result }
      if errno != EINTR { throw DiskError(operation: operation(), code: errno) }
    }
  }
}
