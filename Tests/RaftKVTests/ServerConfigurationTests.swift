import Testing

@testable import RaftKV

@Suite("ServerConfiguration")
struct ServerConfigurationTests {
  private func make(
    name: String = "n", raft: String = "h:1", http: String = "h:2", advertised: String? = nil,
    data: String? = nil
  ) throws -> ServerConfiguration {
    try ServerConfiguration(
      name: name, raftAddress: raft, httpAddress: http, advertisedRaftAddress: advertised,
      dataDirectory: data, version: "1")
  }

  @Test("what is not said has its default")
  func defaults() throws {
    let configuration = try make()
    #expect(configuration.dataDirectory == "data/n")
    #expect(configuration.advertisedRaftAddress == configuration.raftAddress)
    try configuration.check()
    let settings = configuration.settings
    #expect(settings.parameters.heartbeatInterval == .milliseconds(50))
    #expect(settings.parameters.electionTimeout == .milliseconds(300))
    #expect(settings.snapshotEntries == 100_000 && settings.snapshotBytes == 64 << 20)
    #expect(settings.maximumValueSize == 1 << 20)
    #expect(settings.raftAddress == "h:1" && settings.httpAddress == "h:2")
  }

  @Test(
    "names", arguments: ["n", "A-z_0.9", String(repeating: "x", count: 64)])
  func names(_ name: String) throws { #expect(try make(name: name).name == name) }

  @Test(
    "what is no name",
    arguments: ["", ".", "..", "a/b", "a b", "é", "a\0", String(repeating: "x", count: 65)])
  func badNames(_ name: String) {
    #expect(throws: ServerConfiguration.Invalid.self) { try make(name: name) }
  }

  @Test("a wildcard listens everywhere, and others must be told where to dial instead")
  func wildcards() throws {
    for wildcard in [":1", "0.0.0.0:1", "[::]:1"] {
      #expect(throws: ServerConfiguration.Invalid.self) { try make(raft: wildcard) }
      let configuration = try make(raft: wildcard, advertised: "10.0.0.1:1")
      #expect(configuration.settings.raftAddress == "10.0.0.1:1")
      #expect(throws: ServerConfiguration.Invalid.self) {
        try make(advertised: wildcard)
      }
    }
  }

  @Test("the two addresses differ, and an empty directory is none")
  func clashes() {
    #expect(throws: ServerConfiguration.Invalid.self) { try make(raft: "h:1", http: "h:1") }
    #expect(throws: ServerConfiguration.Invalid.self) { try make(data: "") }
    #expect(throws: ServerConfiguration.Invalid.self) { try make(raft: "h:0") }
  }

  @Test("numbers within their ranges, the last that is right and the first that is not")
  func ranges() throws {
    func isValid(_ change: (inout ServerConfiguration) -> Void) throws -> Bool {
      var configuration = try make()
      change(&configuration)
      do { try configuration.check() } catch { return false }
      return true
    }
    #expect(try isValid { $0.heartbeat = .milliseconds(100) })
    #expect(try !isValid { $0.heartbeat = .milliseconds(101) })
    #expect(try !isValid { $0.heartbeat = .zero })
    #expect(try isValid { $0.electionTimeout = .seconds(60) })
    #expect(try !isValid { $0.electionTimeout = .milliseconds(60_001) })
    #expect(try isValid { $0.maximumValueSize = 7 << 20 })
    #expect(try !isValid { $0.maximumValueSize = 7 << 20 + 1 })
    #expect(try !isValid { $0.maximumValueSize = 0 })
    #expect(try !isValid { $0.snapshotEntries = 0 })
    #expect(try !isValid { $0.snapshotBytes = 0 })
  }
}
