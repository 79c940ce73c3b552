import Testing

@testable import RaftKV

@Suite("Settings")
struct SettingsTests {
  private func settings(
    _ text: String = "", flags: [Setting: String] = [:], environment: [String: String] = [:]
  ) -> Settings {
    Settings(flags: flags, environment: environment, file: ("f.conf", Array(text.utf8)))
  }

  private func problems(_ settings: Settings) -> [String] {
    do throws(ServerConfiguration.Invalid) {
      _ = try ServerConfiguration(settings, version: "1")
      return []
    } catch { return error.problems.map(\.description) }
  }

  @Test("a flag goes before the environment, that before the file, and that before the default")
  func precedence() throws {
    let file = "heartbeat = 51ms\nlog-level = error\nid = file\n"
    let variables = ["RAFTKVD_HEARTBEAT": "52ms", "RAFTKVD_LOG_LEVEL": "debug", "RAFTKVD_ID": ""]
    let all = settings(file, flags: [.heartbeat: "53ms"], environment: variables)
    #expect(all[.heartbeat] == Settings.Value(text: "53ms", source: .flag))
    #expect(all[.logLevel] == Settings.Value(text: "debug", source: .environment))
    // An empty variable is not set.
    #expect(all[.id] == Settings.Value(text: "file", source: .file("f.conf", line: 3)))
    #expect(all[.maxValueSize] == Settings.Value(text: "1MiB", source: .default))
    let configuration = try ServerConfiguration(all, version: "1")
    #expect(configuration.heartbeat == .milliseconds(53) && configuration.logLevel == .debug)
    #expect(configuration.name == "file" && configuration.dataDirectory == "data/file")
  }

  @Test("every setting has a variable of its own, and a default that is right")
  func table() throws {
    #expect(Setting.electionTimeout.variable == "RAFTKVD_ELECTION_TIMEOUT")
    #expect(Set(Setting.allCases.map(\.variable)).count == Setting.allCases.count)
    let configuration = try ServerConfiguration(settings(), version: "1")
    #expect(configuration.heartbeat == .milliseconds(50) && configuration.snapshotBytes == 64 << 20)
    for setting in Setting.allCases where setting != .bootstrap {
      let given = settings(environment: [setting.variable: "x"])
      #expect(given[setting]?.source == .environment, "\(setting)")
    }
  }

  @Test("white space, comments, CR LF and a missing last line end do not matter in a file")
  func form() throws {
    let text =
      "\r\n# all of it\n\t id=a#b \r\n  data =  /var/lib/raft kv  # here\n\njoin = h:1, h:2"
    let parsed = settings(text)
    #expect(parsed.problems.isEmpty)
    #expect(parsed[.id]?.text == "a#b", "a comment begins behind white space only")
    #expect(
      parsed[.data] == Settings.Value(text: "/var/lib/raft kv", source: .file("f.conf", line: 4)))
    var named = parsed
    named[.id] = Settings.Value(text: "n", source: .flag)
    let configuration = try ServerConfiguration(named, version: "1")
    #expect(configuration.joinAddresses.map(\.description) == ["h:1", "h:2"])
  }

  @Test(
    "what is wrong in a file is named with its line",
    arguments: [
      ("id = a\nnonsense = 1\n", "f.conf:2: there is no key 'nonsense'"),
      ("id = a\n\nid = b\n", "f.conf:3: id stands on line 1 already"),
      ("just words", "f.conf:1: 'just words' is not of the form `key = value`"),
      ("= 5", "f.conf:1: there is no key ''"),
      ("data =   # none", "f.conf:1: data has no value"),
      ("bootstrap = true", "f.conf:1: bootstrap is for one start only"),
      ("Heartbeat = 50ms", "f.conf:1: there is no key 'Heartbeat'"),
      ("\n\nheartbeat = 50", "f.conf:3: heartbeat '50' is not a duration"),
      ("snapshot-bytes = 1.5MiB", "f.conf:1: snapshot-bytes '1.5MiB' is not a size"),
      ("snapshot-entries = -1", "f.conf:1: snapshot-entries '-1' is not a whole number"),
      ("snapshot-entries = +1", "f.conf:1: snapshot-entries '+1' is not a whole number"),
      ("max-connections = 0", "f.conf:1: max-connections must be between 1 and 1000000"),
      ("log-format = xml", "f.conf:1: log-format 'xml' is not a format: use logfmt or json"),
      ("join = h:1,,h:2", "f.conf:1: join '' is not an address"),
      ("id = a\u{0}b", "f.conf:1: the line holds a control character"),
      ("election-timeout = 99999999999999999999s", "is not a duration"),
      ("heartbeat = 9223372036854775807m", "is not a duration"),
    ])
  func wrong(_ text: String, _ words: String) {
    let found = problems(settings(text))
    #expect(found.count == 1 && found[0].contains(words), "\(found)")
  }

  @Test("everything that is wrong is told at once, each in one line that names its place")
  func all() {
    let found = problems(
      settings(
        "raddr = nowhere\nfoo = 1\n", flags: [.id: "a/b"],
        environment: ["RAFTKVD_HEARTBEAT": "soon", "RAFTKVD_BOOTSTRAP": "true"]))
    #expect(found.count == 5, "\(found)")
    for words in [
      "f.conf:1: raddr 'nowhere'", "f.conf:2: there is no key 'foo'", "-id 'a/b' is not a name",
      "RAFTKVD_HEARTBEAT 'soon' is not a duration", "RAFTKVD_BOOTSTRAP is for one start only",
    ] {
      #expect(found.contains { $0.hasPrefix(words) }, "\(words): \(found)")
    }
    #expect(!found.contains { $0.contains("\n") })
  }

  @Test("a file that is no text is refused, and variables that are none of ours are only told of")
  func strange() {
    let binary = Settings(flags: [:], file: ("f.conf", [0x69, 0x64, 0xff]))
    #expect(problems(binary) == ["f.conf is not UTF-8 text"])
    let variables = settings(
      environment: [
        "RAFTKVD_PORT": "tcp://10.0.0.1:80", "RAFTKVD_CONFIG": "f", "RAFTKVD_FLAGS": "-x",
      ])
    #expect(variables.unknownVariables == ["RAFTKVD_PORT"] && problems(variables).isEmpty)
  }

  @Test("the listing is a configuration file of the same meaning")
  func listing() throws {
    let first = try ServerConfiguration(
      settings("join = h:1\nheartbeat = 60ms\n", flags: [.logLevel: "debug"]), version: "1")
    let second = settings(first.listing.joined(separator: "\n"))
    #expect(second.problems.isEmpty)
    let again = try ServerConfiguration(second, version: "1")
    #expect(again.heartbeat == .milliseconds(60) && again.logLevel == .debug)
    #expect(again.joinAddresses == first.joinAddresses)
    #expect(
      first.listing.contains { $0.hasPrefix("heartbeat = 60ms ") && $0.hasSuffix("# f.conf:2") })
    #expect(first.listing.contains { $0.hasPrefix("log-level = debug ") && $0.hasSuffix("# flag") })
    #expect(first.listing.contains { $0.hasPrefix("raddr = ") && $0.hasSuffix("# default") })
  }
}
