import Glibc

/// Text that leaves at once: the next event may be a trap, and a pipe may be at the other end.
enum Output {
  static func say(_ line: String) { send(line + "\n", to: 1) }
  static func complain(_ text: String) { send(text, to: 2) }

  private static func send(_ text: String, to file: CInt) {
    var text = text
    text.withUTF8 { bytes in
      var offset = 0
      while offset < bytes.count {
        let count = write(file, bytes.baseAddress! + offset, bytes.count - offset)
        guard count > 0 else { exit(1) }  // Nobody listens any more.
        offset += count
      }
    }
  }

  /// With one decimal.
  static func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }
}
