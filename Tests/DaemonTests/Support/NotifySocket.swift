import Glibc

/// The service manager's end of sd_notify(3): a datagram socket at a path, or at an abstract name.
final class NotifySocket {
  /// What `$NOTIFY_SOCKET` says.
  let name: String
  private let descriptor: Int32
  /// Every datagram so far.
  private(set) var messages: [String] = []

  /// `name` begins with `/` or `@`.
  init(_ name: String) throws {
    self.name = name
    descriptor = socket(
      AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw ClientError.system("socket", errno) }
    var bytes = Array(name.utf8)
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let size = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + bytes.count
    let status = withUnsafePointer(to: &address) {
      bind(
        descriptor, UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self), socklen_t(size))
    }
    guard status == 0 else { throw ClientError.system("bind \(name)", errno) }
  }

  deinit { close(descriptor) }

  /// Reads until a datagram has this line; returns that datagram's lines as names and values. Looks
  /// only at what came after the first `skipping` datagrams.
  @discardableResult
  func await(_ line: String, skipping: Int = 0) throws -> [String: String] {
    var found: String?
    try eventually("the service manager hears '\(line)', after \(messages)") {
      receive()
      found = messages.dropFirst(skipping).first {
        $0.split(separator: "\n").contains { $0 == line }
      }
      return found != nil
    }
    return found!.split(separator: "\n").reduce(into: [:]) { lines, line in
      let parts = line.split(separator: "=", maxSplits: 1)
      lines[String(parts[0])] = parts.count == 2 ? String(parts[1]) : ""
    }
  }

  func receive() {
    var bytes = [UInt8](repeating: 0, count: 4096)
    while case let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT)), count > 0 {
      messages.append(String(decoding: bytes[..<count], as: UTF8.self))
    }
  }

  func position(of line: String) -> Int? {
    messages.firstIndex { $0.split(separator: "\n").contains { $0 == line } }
  }
}
