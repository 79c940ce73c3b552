import CLibUV
import Glibc

/// Tells the service manager how the node is (sd_notify(3)): one datagram of `NAME=value` lines to
/// the socket that `$NOTIFY_SOCKET` names. Whoever else listens there is served as well.
package final class ServiceNotifier {
  /// How often the watchdog must be fed: half of `$WATCHDOG_USEC`; nil where nobody asks.
  package let watchdogInterval: Interval?

  private let descriptor: Int32
  private var address = sockaddr_un()
  private var addressSize: socklen_t = 0

  /// What systemd has put into the environment; nil outside of it.
  package static func fromEnvironment() -> ServiceNotifier? {
    guard let path = Environment["NOTIFY_SOCKET"] else { return nil }
    // The variables may be inherited from a parent whose watchdog it is.
    let isOurs = Environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
    let watchdog = Environment["WATCHDOG_USEC"].flatMap { isOurs ? UInt64($0) : nil }
    return ServiceNotifier(socket: path, watchdogMicroseconds: watchdog)
  }

  /// `socket` is a path or, behind `@`, an abstract name. Nil where it is neither.
  package init?(socket path: String, watchdogMicroseconds: UInt64? = nil) {
    watchdogInterval = watchdogMicroseconds.flatMap { interval in
      let half = interval.multipliedReportingOverflow(by: 500)
      return interval == 0 || half.overflow ? nil : Interval(nanoseconds: half.partialValue)
    }
    var name = Array(path.utf8)
    guard name.count > 1, name.count < MemoryLayout.size(ofValue: address.sun_path),
      name[0] == UInt8(ascii: "/") || name[0] == UInt8(ascii: "@"), !name.contains(0)
    else { return nil }
    if name[0] == UInt8(ascii: "@") { name[0] = 0 }
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    // A receiver that has stopped reading must not stop us.
    var patience = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    // An abstract name has no end mark: its length says where it ends.
    addressSize = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count)
  }

  deinit { close(descriptor) }

  /// Sends what the manager must not miss; waits for room, a second at most.
  package func tell(_ lines: String) { _ = send(lines, flags: 0) }

  /// Sends what will be said again; returns whether there was room for it now.
  package func mention(_ lines: String) -> Bool { send(lines, flags: Int32(MSG_DONTWAIT)) }

  /// What `RELOADING=1` is sent with, so that the manager can tell this reload from the last one.
  package static var monotonicMicroseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
  }

  private func send(_ lines: String, flags: Int32) -> Bool {
    var lines = lines
    return lines.withUTF8 { bytes in
      withUnsafePointer(to: &address) { address in
        let target = UnsafeRawPointer(address).assumingMemoryBound(to: sockaddr.self)
        return sendto(
          descriptor, bytes.baseAddress, bytes.count, flags | Int32(MSG_NOSIGNAL), target,
          addressSize) == bytes.count
      }
    }
  }
}
