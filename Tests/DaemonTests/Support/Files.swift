import Glibc

/// What a test does to data directories behind the nodes' backs.
enum Files {
  static func list(_ directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  static func removeTree(_ path: String) {
    for name in list(path) { removeTree("\(path)/\(name)") }
    if unlink(path) != 0 { rmdir(path) }
  }

  /// Turns over every bit of one byte.
  static func flipByte(of path: String, at offset: Int) throws {
    let descriptor = open(path, O_RDWR)
    guard descriptor >= 0 else { throw ClientError.system("open \(path)", errno) }
    defer { close(descriptor) }
    var byte: UInt8 = 0
    guard pread(descriptor, &byte, 1, offset) == 1 else {
      throw ClientError.system("pread \(path)", errno)
    }
    byte = ~byte
    guard pwrite(descriptor, &byte, 1, offset) == 1 else {
      throw ClientError.system("pwrite \(path)", errno)
    }
  }

  static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw ClientError.system("open \(path)", errno) }
    defer { close(descriptor) }
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw ClientError.system("write \(path)", errno)
    }
  }

  /// The permission bits.
  static func mode(_ path: String) -> mode_t {
    var info = stat()
    return stat(path, &info) == 0 ? info.st_mode & 0o7777 : 0
  }
}
