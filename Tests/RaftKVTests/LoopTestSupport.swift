import Glibc
import RaftKV
import Testing

/// Runs a loop that `body` has wired until something stops it, then closes it, which asserts that
/// nothing is left. A test that hangs is stopped after a time no healthy run comes near.
func withEventLoop(_ body: (EventLoop) throws -> Void) throws {
  let loop = try EventLoop()
  defer { loop.close() }
  let guardian = Timer(loop)
  guardian.didFire = {
    Issue.record("the loop was not stopped")
    loop.stop()
  }
  guardian.arm(at: loop.now + .seconds(60))
  try body(loop)
  loop.run()
}

let loopback = SocketAddress(numeric: "127.0.0.1", port: 0)!

func loopback(port: UInt16) -> SocketAddress { SocketAddress(numeric: "127.0.0.1", port: port)! }

/// A connection of a test: collects what it reads, counts what it is told.
final class Peer {
  let stream: Stream
  var received: [UInt8] = []
  var ends = 0
  var drains = 0
  var closes: [LoopError?] = []
  var didRead: (Peer) -> Void = { _ in }
  var didEnd: (Peer) -> Void = { $0.stream.close() }
  var didDrain: (Peer) -> Void = { _ in }
  var didClose: (Peer) -> Void = { _ in }

  init(_ stream: Stream) {
    self.stream = stream
    stream.didRead = { [unowned self] in
      received.append(contentsOf: $0)
      didRead(self)
    }
    stream.didEnd = { [unowned self] in
      ends += 1
      didEnd(self)
    }
    stream.didDrain = { [unowned self] in
      drains += 1
      didDrain(self)
    }
    // This one owns: a peer lives until its stream is closed.
    stream.didClose = { [self] in
      closes.append($0)
      didClose(self)
    }
  }

  func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { stream.write($0) } }
  func write(_ text: String) { write(Array(text.utf8)) }
  var text: String { String(decoding: received, as: UTF8.self) }
}

/// Listens on the loopback and connects one client to it; `stop` is called once both are closed.
func withConnection(
  server: @escaping (Peer) -> Void, client: @escaping (Peer) -> Void
) throws {
  try withEventLoop { loop in
    var open = 2
    let closed: (Peer) -> Void = { _ in
      open -= 1
      if open == 0 { loop.stop() }
    }
    let listener = try Listener(loop, at: loopback)
    listener.didAccept = {
      let peer = Peer($0)
      peer.didClose = closed
      server(peer)
    }
    _ = Dialer.connect(loop, to: loopback(port: listener.boundPort)) { result in
      guard case .success(let stream) = result else {
        Issue.record("could not connect: \(result)")
        return loop.stop()
      }
      let peer = Peer(stream)
      peer.didClose = closed
      client(peer)
    }
  }
}

/// A directory of its own, removed with what is in it.
func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
  var template = Array("/tmp/raftkvd-test-XXXXXX".utf8CString)
  let made = mkdtemp(&template)
  let path = String(cString: try #require(made))
  defer { removeTree(path) }
  try body(path)
}

private func removeTree(_ path: String) {
  guard let directory = opendir(path) else { return }
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    if name == "." || name == ".." { continue }
    let child = "\(path)/\(name)"
    if unlink(child) != 0 { removeTree(child) }
  }
  closedir(directory)
  rmdir(path)
}
