import RaftKV
import Simulation
import Testing

@Suite("SnapshotStore")
struct SnapshotStoreTests {
  private typealias Store = SnapshotStore<SimulatedDisk>

  private func entry(_ index: UInt64) -> EntryID {
    EntryID(index: LogIndex(index), term: Term(2))
  }

  /// Writes `content` in slices of 100 bytes. Returns whether it was reported durable.
  @discardableResult
  private func write(_ content: [UInt8], as id: EntryID, to store: Store, on disk: SimulatedDisk)
    -> Bool
  {
    var error: DiskError?
    var isDurable = false
    let writer = store.beginWriting(id) { error = $0 }
    while disk.step(), !writer.isReady {}
    while error == nil, !disk.hasCrashed, writer.offset < content.count {
      let slice = content[writer.offset..<min(writer.offset + 100, content.count)]
      let accepted = Array(slice).withUnsafeBytes {
        writer.append($0, at: writer.offset) { error = $0 }
      }
      guard accepted else { break }
      while disk.step() {}
    }
    if writer.isReady {
      writer.finish { isDurable = $0 == nil }
      while disk.step() {}
    }
    return isDurable
  }

  private func read(_ file: SnapshotFile<SimulatedDisk>) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: file.size)
    let count = try bytes.withUnsafeMutableBytes { try file.readNow(at: 0, into: $0) }
    return Array(bytes[..<count])
  }

  private let content = LogBench.payload(EntryID(index: LogIndex(1), term: Term(1)), size: 950)

  @Test("names tell the last entry, and only our names do")
  func names() {
    let name = SnapshotName.make(entry(255))
    #expect(name == "snapshot-00000000000000ff-0000000000000002")
    #expect(SnapshotName.lastEntry(name) == entry(255))
    for other in [
      name + ".tmp", "snapshot-ff-2", "snapshot-00000000000000FF-0000000000000002",
      "log-0000000000000001", "",
    ] {
      #expect(SnapshotName.lastEntry(other) == nil, "\(other)")
    }
  }

  @Test("a finished snapshot survives a crash; the older one goes, but can be read to its end")
  func replace() throws {
    let disk = SimulatedDisk(random: Random(seed: 1))
    let store = Store(disk: disk, logger: .silent)
    #expect(write(content, as: entry(10), to: store, on: disk))
    let old = store.current
    #expect(write(content.reversed(), as: entry(20), to: store, on: disk))
    #expect(disk.names == [SnapshotName.make(entry(20))])
    #expect(try old.map(read) == content)
    var chunk: [UInt8] = []
    store.current?.read(at: 900, count: 400) { result in
      if case .success(let bytes) = result { chunk = Array(bytes) }
    }
    while disk.step() {}
    #expect(chunk == content.reversed()[900...] + [])
    disk.crash()
    let again = Store(disk: disk, logger: .silent)
    #expect(try again.list() == [entry(20)])
    #expect(try read(again.open(entry(20))) == content.reversed())
  }

  @Test("at every crash there is the old snapshot or the new one, whole")
  func crashes() throws {
    var access = 1
    var finished = false
    while !finished {
      let disk = SimulatedDisk(random: Random(seed: UInt64(access)))
      let store = Store(disk: disk, logger: .silent)
      write(content, as: entry(10), to: store, on: disk)
      disk.accessesUntilCrash = access
      let isDurable = write(content.reversed(), as: entry(20), to: store, on: disk)
      finished = !disk.hasCrashed
      disk.crash()
      let again = Store(disk: disk, logger: .silent)
      let newest = try again.list().first
      #expect(newest == entry(20) || newest == entry(10) && !isDurable)
      let expected = newest == entry(20) ? content.reversed() : content
      if let newest { #expect(try read(again.open(newest)) == expected) }
      access += 1
    }
    #expect(access > 12)
  }

  @Test("chunks twice, out of order, or beyond the announced size are not written")
  func chunks() {
    let disk = SimulatedDisk(random: Random(seed: 1))
    let store = Store(disk: disk, logger: .silent)
    let writer = store.beginWriting(entry(10), limit: 150) { _ in }
    while disk.step() {}
    let chunk = [UInt8](repeating: 7, count: 100)
    func append(at offset: Int) -> Bool {
      defer { while disk.step() {} }
      return chunk.withUnsafeBytes { writer.append($0, at: offset) { _ in } }
    }
    #expect(!append(at: 100))
    #expect(append(at: 0))
    #expect(!append(at: 0))
    #expect(!append(at: 100), "100 and 100 are more than 150")
    #expect(writer.offset == 100)
  }

  @Test("an abandoned snapshot leaves nothing, and another can begin")
  func abandon() {
    let disk = SimulatedDisk(random: Random(seed: 1))
    let store = Store(disk: disk, logger: .silent)
    let writer = store.beginWriting(entry(10)) { _ in }
    writer.abandon()
    while disk.step() {}
    #expect(disk.names.isEmpty)
    #expect(write(content, as: entry(11), to: store, on: disk))
  }

  @Test("a full disk is an error of the writer, and leaves nothing behind")
  func fullDisk() {
    let disk = SimulatedDisk(random: Random(seed: 1))
    let store = Store(disk: disk, logger: .silent)
    var failures = 0
    store.onFailure = { _ in failures += 1 }
    disk.quota = 0
    #expect(!write(content, as: entry(10), to: store, on: disk))
    #expect(disk.names.isEmpty && failures == 0)
  }

  @Test("a removal that takes long takes nothing away from those that come due meanwhile")
  func slowRemoval() {
    for seed in 1...100 {
      let disk = SimulatedDisk(random: Random(seed: UInt64(seed)))
      let store = Store(disk: disk, logger: .silent)
      write(content, as: entry(10), to: store, on: disk)
      for index: UInt64 in [20, 30] {
        var isDurable = false
        let writer = store.beginWriting(entry(index)) { _ in }
        while !writer.isReady, disk.step() {}
        writer.finish { _ in isDurable = true }
        while !isDurable, disk.step() {}
      }
      while disk.step() {}
      #expect(disk.names == [SnapshotName.make(entry(30))], "seed \(seed)")
    }
  }

  @Test("an older snapshot that is done late never takes a newer one's place")
  func late() throws {
    let disk = SimulatedDisk(random: Random(seed: 1))
    let store = Store(disk: disk, logger: .silent)
    write(content, as: entry(20), to: store, on: disk)
    write(content, as: entry(10), to: store, on: disk)
    #expect(store.current?.lastEntry == entry(20))
    #expect(disk.names == [SnapshotName.make(entry(20))])
  }

  @Test("an older snapshot that is done late can be read by who asked for it, without its name")
  func lateIsReadable() throws {
    let disk = SimulatedDisk(random: Random(seed: 1))
    let store = Store(disk: disk, logger: .silent)
    write(content, as: entry(20), to: store, on: disk)
    let writer = store.beginWriting(entry(10)) { _ in }
    while !writer.isReady, disk.step() {}
    #expect(content.withUnsafeBytes { writer.append($0, at: 0) { _ in } })
    while disk.step() {}
    #expect(writer.published == nil)
    writer.finish { _ in }
    while disk.step() {}
    let file = try #require(writer.published)
    #expect(file.lastEntry == entry(10))
    #expect(try read(file) == content)
  }

  @Test("a snapshot gets its name once the damaged one that had it is gone")
  func waitsForRemoval() throws {
    for seed in 1...100 {
      let disk = SimulatedDisk(random: Random(seed: UInt64(seed)))
      for index: UInt64 in [10, 2] {
        write(content, as: entry(index), to: Store(disk: disk, logger: .silent), on: disk)
      }
      let store = Store(disk: disk, logger: .silent)
      write(content, as: entry(5), to: store, on: disk)
      // One of the two waits for the other, and so may be begun at any moment.
      let others = seed % 2 == 0 ? [entry(10), entry(2)] : [entry(2), entry(10)]
      store.adopt(try store.open(entry(5)), removing: others)
      let writer = store.beginWriting(entry(10)) { _ in }
      while !writer.isReady, disk.step() {}
      writer.finish { _ in }
      while disk.step() {}
      #expect(disk.names == [SnapshotName.make(entry(10))], "seed \(seed)")
    }
  }

  @Test("a snapshot in the place of one that could not be removed is not removed for it")
  func replacesDamaged() throws {
    let disk = SimulatedDisk(random: Random(seed: 1))
    write(content, as: entry(10), to: Store(disk: disk, logger: .silent), on: disk)
    let store = Store(disk: disk, logger: .silent)
    write(content, as: entry(5), to: store, on: disk)
    // As a start that had to pass over the newer one does.
    disk.fault = { access, _ in access == .remove ? 5 : nil }
    store.adopt(try store.open(entry(5)), removing: [entry(10)])
    while disk.step() {}
    disk.fault = { _, _ in nil }
    write(content, as: entry(10), to: store, on: disk)
    #expect(store.current?.lastEntry == entry(10))
    #expect(disk.names == [SnapshotName.make(entry(10))])
  }
}
