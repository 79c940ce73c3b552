import Glibc
import RaftKV
import Testing

@Suite("UVDisk")
struct UVDiskTests {
  @Test("blocking: what is written is read, short at the end of the file")
  func blocking() throws {
    try withDisk { _, disk in
      let file = try disk.open("a", .create)
      try write("hello", to: file, at: 3, on: disk)
      #expect(try disk.size(file) == 8)
      try disk.sync(file)
      #expect(try read(file, at: 0, count: 100, on: disk) == [0, 0, 0] + Array("hello".utf8))
      #expect(try read(file, at: 8, count: 1, on: disk) == [])
      try disk.truncate(file, to: 4)
      #expect(try disk.size(file) == 4)
      disk.close(file)
      let again = try disk.open("a", .read)
      #expect(again != file)
      #expect(try read(again, at: 0, count: 10, on: disk) == [0, 0, 0] + Array("h".utf8))
      disk.close(again)
    }
  }

  @Test("blocking: the list is in order and has neither directories nor the lock")
  func list() throws {
    try withDisk { path, disk in
      try disk.lock()
      mkdir("\(path)/lost+found", 0o700)
      #expect(try disk.list() == [])
      for name in ["b", "a", "c"] { disk.close(try disk.open(name, .create)) }
      try disk.rename("b", to: "d")
      try disk.remove("c")
      try disk.syncDirectory()
      #expect(try disk.list() == ["a", "d"])
    }
  }

  @Test("blocking: errors say what was attempted, and why it failed")
  func blockingErrors() throws {
    try withDisk { _, disk in
      #expect(throws: DiskError(operation: "open a", code: ENOENT)) { try disk.open("a", .read) }
      #expect(throws: DiskError(operation: "open a", code: ENOENT)) { try disk.open("a", .durable) }
      #expect(throws: DiskError(operation: "remove a", code: ENOENT)) { try disk.remove("a") }
      #expect(throws: DiskError(operation: "rename a to b", code: ENOENT)) {
        try disk.rename("a", to: "b")
      }
      disk.close(try disk.open("a", .create))
      #expect(throws: DiskError(operation: "open a", code: EEXIST)) { try disk.open("a", .create) }
      let file = try disk.open("a", .read)
      #expect(throws: DiskError(operation: "write a", code: EBADF)) {
        try write("x", to: file, at: 0, on: disk)
      }
      disk.close(file)
    }
  }

  @Test("submitted: every operation completes, later than the call, with its result")
  func submitted() throws {
    let bytes = Buffer("hello, world")
    let target = Buffer(count: 100)
    defer { withExtendedLifetime((bytes, target)) {} }
    try withDiskLoop { disk, step in
      step(.open("a", .create)) { file in
        let file = FileID(Int32(file))
        let pieces = [bytes[0..<5], bytes[5..<7], bytes[7..<12]]
        step(.write(file, at: 2, pieces)) { #expect($0 == 12) }
        step(.sync(file)) { #expect($0 == 0) }
        step(.read(file, at: 0, target.all)) {
          #expect($0 == 14)
          #expect(target.text(2..<14) == "hello, world")
        }
        step(.allocate(file, 1 << 20)) { #expect($0 == 0) }
        step(.read(file, at: (1 << 20) - 3, target.all)) { #expect($0 == 3) }
        step(.truncate(file, to: 7)) { #expect($0 == 0) }
        step(.read(file, at: 7, target.all)) {
          #expect($0 == 0)
          disk.close(file)
          step(.rename("a", to: "b")) { _ in
            #expect((try? disk.list()) == ["b"])
            step(.syncDirectory) { #expect($0 == 0) }
            step(.remove("b")) { _ in #expect((try? disk.list()) == []) }
          }
        }
      }
      step(.freeSpace) { #expect($0 > 0) }
    }
  }

  @Test("submitted: errors are like those of the blocking half")
  func submittedErrors() throws {
    let bytes = Buffer("x")
    defer { withExtendedLifetime(bytes) {} }
    try withEventLoop { loop in
      try withTemporaryDirectory { path in
        let disk = try UVDisk(loop, directory: path)
        disk.close(try disk.open("a", .create))
        let file = try disk.open("a", .read)
        var expected: [(DiskOperation, String, Int32)] = [
          (.open("b", .read), "open b", ENOENT), (.open("a", .create), "open a", EEXIST),
          (.remove("b"), "remove b", ENOENT), (.rename("b", to: "c"), "rename b to c", ENOENT),
          (.write(file, at: 0, [bytes[0..<1]]), "write a", EBADF),
          (.truncate(file, to: 0), "truncate a", EINVAL),
          (.allocate(file, 1), "allocate a", EBADF),
        ]
        var left = expected.count
        while let (operation, words, code) = expected.popLast() {
          disk.submit(operation) { result in
            #expect(result == .failure(DiskError(operation: words, code: code)))
            left -= 1
            if left == 0 { loop.stop() }
          }
        }
        loop.run()
        disk.close(file)
        loop.stop()
      }
    }
  }

  @Test("submissions of one file are done in their order, and a close waits for them")
  func order() throws {
    let pieces = (0..<200).map { Buffer("\($0 % 10)") }
    defer { withExtendedLifetime(pieces) {} }
    try withTemporaryDirectory { path in
      let loop = try EventLoop()
      let disk = try UVDisk(loop, directory: path)
      let file = try disk.open("a", .create)
      var completed: [Int] = []
      for (index, piece) in pieces.enumerated() {
        // All to the same place: the last one wins only if the order is kept.
        disk.submit(.write(file, at: 0, [piece[0..<1]])) { result in
          #expect(result == .success(1))
          completed.append(index)
        }
      }
      disk.submit(.sync(file)) { _ in completed.append(200) }
      disk.close(file)
      #expect(completed.isEmpty)
      loop.close()
      #expect(completed == Array(0...200))
      let again = try disk.open("a", .read)
      #expect(try read(again, at: 0, count: 10, on: disk) == Array("9".utf8))
      disk.close(again)
    }
  }

  @Test("of more pieces than one call takes, the first 1024 are written and counted")
  func manyPieces() throws {
    let bytes = Buffer(String(repeating: "ab", count: 1500))
    defer { withExtendedLifetime(bytes) {} }
    try withDiskLoop { disk, step in
      step(.open("a", .create)) { file in
        let file = FileID(Int32(file))
        step(.write(file, at: 0, (0..<1500).map { bytes[2 * $0..<2 * $0 + 2] })) {
          #expect($0 == 2048)
        }
        step(.write(file, at: 0, [])) { #expect($0 == 0) }
        step(.write(file, at: 0, [bytes[0..<0], bytes[0..<2]])) { #expect($0 == 2) }
        step(.sync(file)) { _ in
          #expect((try? disk.size(file)) == 2048)
          disk.close(file)
        }
      }
    }
  }

  @Test("a durable file is written in place")
  func durable() throws {
    let bytes = Buffer("xy")
    defer { withExtendedLifetime(bytes) {} }
    try withDiskLoop { disk, step in
      let first = try disk.open("a", .create)
      try write("........", to: first, at: 0, on: disk)
      disk.close(first)
      let file = try disk.open("a", .durable)
      step(.write(file, at: 3, [bytes[0..<2]])) {
        #expect($0 == 2)
        #expect((try? read(file, at: 0, count: 9, on: disk)) == Array("...xy...".utf8))
        disk.close(file)
      }
    }
  }

  @Test("missing directories are made for us alone; a file in the way is an error")
  func makesDirectories() throws {
    try withTemporaryDirectory { path in
      let loop = try EventLoop()
      let disk = try UVDisk(loop, directory: "\(path)/one/two//three/")
      disk.close(try disk.open("a", .create))
      for name in ["one", "one/two", "one/two/three"] {
        #expect(mode(of: "\(path)/\(name)") == 0o700)
      }
      #expect(mode(of: "\(path)/one/two/three/a") == 0o600)
      #expect(throws: DiskError.self) {
        try UVDisk(loop, directory: "\(path)/one/two/three/a/four")
      }
      #expect(throws: DiskError.self) { try UVDisk(loop, directory: "\(path)/one/two/three/a") }
      loop.close()
    }
  }

  @Test("a directory is locked once, until the disk that locked it goes")
  func locks() throws {
    try withTemporaryDirectory { path in
      let loop = try EventLoop()
      var first: UVDisk? = try UVDisk(loop, directory: path)
      try first?.lock()
      try first?.lock()
      let second = try UVDisk(loop, directory: path)
      let held = DirectoryLockError.held(directory: path, by: Int(getpid()))
      #expect(throws: held) { try second.lock() }
      #expect(throws: held) { try second.lock() }
      #expect(held.description == "the data directory \(path) is in use by process \(getpid())")
      first = nil
      try second.lock()
      loop.close()
    }
  }

  @Test("requests under way keep the disk, its lock and its files until they are done")
  func outlives() throws {
    let bytes = Buffer("late")
    defer { withExtendedLifetime(bytes) {} }
    try withTemporaryDirectory { path in
      let loop = try EventLoop()
      var result: DiskResult?
      do {
        let disk = try UVDisk(loop, directory: path)
        let file = try disk.open("a", .create)
        disk.submit(.write(file, at: 0, [bytes[0..<4]])) { result = $0 }
      }
      loop.close()
      #expect(result == .success(4))
    }
  }

  // MARK: Helpers

  private func withDisk(_ body: (String, UVDisk) throws -> Void) throws {
    try withTemporaryDirectory { path in
      let loop = try EventLoop()
      defer { loop.close() }
      try body(path, try UVDisk(loop, directory: path))
    }
  }

  private typealias Step = (DiskOperation, @escaping (Int) -> Void) -> Void

  /// Runs the loop until every submitted step has completed; a failed one is an issue.
  private func withDiskLoop(_ body: (UVDisk, @escaping Step) throws -> Void) throws {
    try withTemporaryDirectory { path in
      try withEventLoop { loop in
        let disk = try UVDisk(loop, directory: path)
        var underWay = 0
        try body(disk) { operation, check in
          underWay += 1
          var hasReturned = false
          disk.submit(operation) { result in
            #expect(hasReturned)
            switch result {
            case .success(let value): check(value)
            case .failure(let error): Issue.record("\(error)")
            }
            underWay -= 1
            if underWay == 0 { loop.stop() }
          }
          hasReturned = true
        }
      }
    }
  }

  private func write(_ text: String, to file: FileID, at offset: Int, on disk: UVDisk) throws {
    try Array(text.utf8).withUnsafeBytes { bytes in try disk.write(file, at: offset, bytes) }
  }

  private func read(_ file: FileID, at offset: Int, count: Int, on disk: UVDisk) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xff, count: count)
    let got = try bytes.withUnsafeMutableBytes { try disk.read(file, at: offset, into: $0) }
    return Array(bytes[..<got])
  }

  private func mode(of path: String) -> mode_t {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
  }
}

/// Memory to lend to the pool. A test holds it until its loop is closed.
private final class Buffer {
  let all: UnsafeMutableRawBufferPointer

  init(count: Int) { all = .allocate(byteCount: count, alignment: 16) }

  convenience init(_ text: String) {
    let utf8 = Array(text.utf8)
    self.init(count: utf8.count)
    all.copyBytes(from: utf8)
  }

  deinit { all.deallocate() }

  subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: all[range])
  }

  func text(_ range: Range<Int>) -> String { String(decoding: self[range], as: UTF8.self) }
}
