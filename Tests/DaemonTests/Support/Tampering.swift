@testable import RaftKV

/// Puts into the data directory of a node that does not run what no healthy node would write, with
/// the program's own means, so that only the meaning is wrong and every checksum is right.
enum Tampering {
  private typealias Log = LogStore<UVDisk>

  /// Appends an entry whose command is `payload`.
  static func append(_ payload: [UInt8], to directory: String) throws {
    try edit(directory) { log in
      log.append(payload, as: EntryID(index: log.lastEntry.index.next, term: log.lastEntry.term))
    }
  }

  /// Lets the last entry, which must be a command, be another command at the same index and term.
  static func replaceLast(with payload: [UInt8], in directory: String) throws {
    try edit(directory) { log in
      let last = log.lastEntry
      // No term is between them: the entry before it was written by the same leader.
      log.truncate(after: EntryID(index: last.index.previous, term: last.term))
      log.append(payload, as: last)
    }
  }

  private static func edit(_ directory: String, _ body: (Log) -> Void) throws {
    let loop = try EventLoop()
    defer { loop.close() }
    let disk = try UVDisk(loop, directory: directory)
    try disk.lock()
    let node = try RecoveredNode.open(
      disk, limits: LogLimits(), random: Random(seed: 1), clock: { EventLoop.now },
      logger: .silent)
    var failure: StorageFailure?
    node.log.onFailure = {
      failure = $0
      loop.stop()
    }
    var isDurable = false
    node.log.didPersist = { _ in
      isDurable = true
      loop.stop()
    }
    body(node.log)
    node.log.flush(ticket: 1)
    loop.run()
    guard isDurable, failure == nil else {
      throw ClientError.malformed("tampering failed: \(failure?.description ?? "not durable")")
    }
  }

  static func put(_ key: String, _ value: String) -> [UInt8] {
    var bytes = ByteBuffer()
    Array(key.utf8).withUnsafeBytes { key in
      Array(value.utf8).withUnsafeBytes { value in
        Command.put(key: key, value: value, clock: 1).encode(into: &bytes)
      }
    }
    return Array(bytes.readable)
  }

  /// The identity file as a later version of the format might have it.
  static func raiseVersion(ofIdentityIn directory: String) throws {
    let path = "\(directory)/identity"
    var sector = Program.bytes(of: path)
    sector[12] += 1
    let checksum = sector.withUnsafeBytes { CheckedSector.checksum($0) }
    withUnsafeBytes(of: checksum.littleEndian) { sector.replaceSubrange(8..<12, with: $0) }
    try Files.write(sector, to: path)
  }
}

extension LogStore {
  fileprivate func append(_ payload: [UInt8], as id: EntryID) {
    payload.withUnsafeBytes { append(EntryRecord(kind: .command, id: id, payload: $0)) }
  }
}
