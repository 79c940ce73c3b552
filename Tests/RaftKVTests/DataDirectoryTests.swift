import RaftKV
import Simulation
import Testing

@Suite("DataDirectory")
struct DataDirectoryTests {
  private let configuration = Configuration(members: [
    Configuration.Member(
      id: LogBench.node, name: "node1", memberSince: LogIndex(1), raftAddress: "a:1",
      httpAddress: "a:2", role: .voter)
  ])

  @Test("an empty directory is nobody's; one that was created is its node's")
  func identity() throws {
    #expect(try DataDirectory.inspect(SimulatedDisk(random: Random(seed: 1))) == nil)
    let disk = try LogBench.emptyDisk()
    disk.crash()
    #expect(try DataDirectory.inspect(disk) == LogBench.identity)
  }

  @Test("a bootstrap begins the log with the configuration, in term 1")
  func bootstrap() throws {
    let disk = try LogBench.emptyDisk(configuration: configuration)
    disk.crash()
    let opened = try DataDirectory.open(disk, clock: { .zero }, logger: .silent)
    #expect(opened.hardState.durable == HardState(currentTerm: Term(1)))
    let bench = try LogBench(disk)
    #expect(bench.recovered.entries.map(\.configuration) == [configuration])
    #expect(bench.log.lastEntry == EntryID(index: LogIndex(1), term: Term(1)))
  }

  @Test("a first start that is cut short anywhere leaves nobody, or all of it")
  func interruptedFirstStart() throws {
    var access = 1
    var finished = false
    while !finished {
      let disk = SimulatedDisk(random: Random(seed: UInt64(access)))
      disk.accessesUntilCrash = access
      finished =
        (try? DataDirectory.create(
          disk, identity: LogBench.identity, configuration: configuration,
          limits: LogBench.smallLimits, random: Random(seed: 3))) != nil
      disk.crash()
      if try DataDirectory.inspect(disk) == nil {
        #expect(!finished, "what was finished stays")
        try DataDirectory.create(
          disk, identity: LogBench.identity, configuration: configuration,
          limits: LogBench.smallLimits, random: Random(seed: 4))
      }
      #expect(try LogBench(disk).recoveredTerms == [1], "access \(access)")
      access += 1
    }
    #expect(access > 15)
  }

  @Test(
    "files of a node that has voted, without its identity, are not taken for an empty directory")
  func lostIdentity() throws {
    let disk = try LogBench.emptyDisk()
    let opened = try DataDirectory.open(disk, clock: { .zero }, logger: .silent)
    opened.hardState.write(HardState(currentTerm: Term(2)))
    while disk.step() {}
    disk.delete("identity")
    #expect(throws: RecoveryError.self) { try DataDirectory.inspect(disk) }
  }

  @Test("a damaged identity is damage")
  func damagedIdentity() throws {
    let disk = try LogBench.emptyDisk()
    disk.flipBit(0, at: 17, in: "identity")
    #expect(throws: RecoveryError.self) { try DataDirectory.inspect(disk) }
  }

  @Test("joining a cluster is durable when it is reported, and all or nothing at any crash")
  func join() throws {
    for access in 1...12 {
      let disk = try LogBench.emptyDisk(seed: UInt64(access))
      let opened = try DataDirectory.open(disk, clock: { .zero }, logger: .silent)
      var joined = false
      disk.accessesUntilCrash = access
      opened.identity.join(ClusterID(99)) { joined = true }
      while disk.step() {}
      disk.crash()
      let cluster = try DataDirectory.inspect(disk)?.cluster
      #expect(cluster == ClusterID(99) || !joined && cluster == LogBench.identity.cluster)
    }
  }
}
