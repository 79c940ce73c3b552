import RaftKV
import Testing

extension DaemonTests {
  /// Files that other programs read, and texts that repeat what the source says.
  @Suite("Packaging")
  struct PackagingTests {
    /// A start with the same data and flags would end the same way, or do harm.
    static let hopeless: [ExitCode] = [
      .usage, .foreignData, .newerFormat, .corruptData, .diskFailure, .diverged, .wipedDisk,
      .unknownCommand,
    ]

    @Test(
      "a node is not started again where that cannot help",
      arguments: ["raftkvd.service", "raftkvd@.service"])
    func restarts(unit: String) throws {
      let codes = Self.hopeless.map { "\($0.rawValue)" }.joined(separator: " ")
      #expect(
        try Checkout.text("packaging/\(unit)").contains("\nRestartPreventExitStatus=\(codes)\n"))
    }

    @Test(
      "the units are clean, and what they may do is little",
      arguments: ["raftkvd.service", "raftkvd@.service"])
    func units(unit: String) throws {
      guard try Shell.has("systemd-analyze") else { return }
      try Sandbox.run { sandbox in
        // The tool looks for the binary, which is not installed here.
        let copy = "\(sandbox.directory)/\(unit.replacing("@", with: "@a"))"
        let text = try Checkout.text("packaging/\(unit)")
        try Files.write(
          Array(text.replacing("/usr/bin/raftkvd", with: Program.path).utf8), to: copy)
        let verdict = try Shell.run("systemd-analyze verify --man=no \(copy)")
        #expect(verdict.code == 0 && verdict.output.isEmpty, "\(verdict.output)")
        // The threshold counts in tenths.
        let exposure = try Shell.run(
          "systemd-analyze security --offline=true --threshold=20 \(copy)")
        #expect(exposure.code == 0, "\(exposure.output)")
      }
    }

    @Test("man page, README and default configuration know every flag, and the page no other")
    func flags() throws {
      let page = try Checkout.text("packaging/raftkvd.8")
      let readme = try Checkout.text("README.md")
      let file = try Checkout.text("packaging/raftkvd.conf")
      for setting in Setting.allCases {
        #expect(page.contains("\n.It Fl \(setting.name)"), "raftkvd.8 lacks -\(setting.name)")
        #expect(readme.contains("`-\(setting.name)`"), "README.md lacks -\(setting.name)")
        #expect(
          file.contains("\n# \(setting.name) = ") == (setting != .bootstrap),
          "raftkvd.conf and \(setting.name)")
      }
      for line in page.split(separator: "\n") where line.hasPrefix(".It Fl ") {
        let name = String(line.split(separator: " ")[2])
        #expect(
          Setting(rawValue: name) != nil || ["config", "help", "version"].contains(name),
          "raftkvd.8 has -\(name)")
      }
    }

    @Test("the default configuration holds the defaults, and its examples are valid")
    func defaultConfiguration() throws {
      try Sandbox.run { sandbox in
        let text = try Checkout.text("packaging/raftkvd.conf")
        let path = "\(sandbox.directory)/raftkvd.conf"
        let keys = Setting.allCases.map { "# \($0.name) = " }
        let lines = text.split(separator: "\n").map { line in
          keys.contains { line.hasPrefix($0) } ? line.dropFirst(2) : line
        }
        try Files.write(Array(lines.joined(separator: "\n").utf8), to: path)
        let check = try sandbox.run(["config", "check", "-config", path])
        #expect(check.code == 0, "\(check.words)")
        for setting in Setting.allCases {
          guard let value = setting.defaultText, setting != .bootstrap else { continue }
          #expect(text.contains("\n# \(setting.name) = \(value)\n"), "\(setting.name)")
        }
      }
    }

    @Test("every exit code stands in the man page, the README and the operations guide")
    func exitCodes() throws {
      let page = try Checkout.text("packaging/raftkvd.8")
      let readme = try Checkout.text("README.md")
      let guide = try Checkout.text("docs/operations.md")
      for code in ExitCode.allCases {
        #expect(page.contains("\n.It \(code.rawValue)\n"))
        #expect(readme.contains("\n| \(code.rawValue) |"))
        #expect(code == .success || guide.contains("\n| \(code.rawValue) |"))
      }
    }

    @Test("the man page is well formed")
    func manualPage() throws {
      let page = "\(Checkout.root)/packaging/raftkvd.8"
      if try Shell.has("man") {
        let run = try Shell.run(
          "env MANROFFSEQ= LC_ALL=C.UTF-8 man --warnings -l \(page) > /dev/null")
        #expect(run.code == 0 && run.output.isEmpty, "\(run.output)")
      }
      if try Shell.has("mandoc") {
        let run = try Shell.run("mandoc -T lint -W warning \(page)")
        #expect(run.code == 0, "\(run.output)")
      }
    }

    @Test("the alert rules are well formed, fire when they should, and are all explained")
    func alerts() throws {
      let rules = try Checkout.text("packaging/alerts.yml")
      let guide = try Checkout.text("docs/operations.md")
      for line in rules.split(separator: "\n") {
        guard let name = line.firstRange(of: "- alert: ") else { continue }
        #expect(guide.contains("\n| `\(line[name.upperBound...])` |"), "\(line)")
      }
      guard try Shell.has("promtool") else { return }
      for command in [
        "check rules \(Checkout.root)/packaging/alerts.yml",
        "test rules \(Checkout.root)/Tests/Documents/alerts.yml",
      ] {
        let run = try Shell.run("promtool \(command)")
        #expect(run.code == 0, "\(run.output)")
      }
    }

    @Test("what dashboard and alerts look at is what /metrics shows")
    func metricNames() throws {
      try Sandbox.run { sandbox in
        // Some figures are the leader's, some a follower's.
        let nodes = try sandbox.cluster(of: 2)
        var shown: Set<Substring> = []
        for node in nodes {
          let text = try node.get("/metrics").text
          for line in text.split(separator: "\n") where line.hasPrefix("# TYPE ") {
            shown.insert(line.split(separator: " ")[2])
          }
        }
        for file in ["packaging/alerts.yml", "packaging/grafana-dashboard.json"] {
          let names = try Checkout.text(file).matches(of: /raftkvd_[a-z_]+[a-z]/).map(\.output)
          #expect(names.count > 15)
          for name in Set(names) {
            let isShown = shown.contains(name.replacing(/_bucket$/, with: ""))
            #expect(isShown, "\(file) has \(name)")
          }
        }
      }
    }

    @Test("completions and the package's scripts are in their shell's language")
    func scripts() throws {
      try Sandbox.run { sandbox in
        for shell in ["bash", "zsh", "fish"] {
          let script = "\(sandbox.directory)/completion.\(shell)"
          let made = try Shell.run(
            "\(Program.path) --generate-completion-script \(shell) > \(script)")
          #expect(made.code == 0, "\(made.output)")
          #expect(Program.contents(of: script).contains("election-timeout"))
          if try Shell.has(shell) {
            let run = try Shell.run("\(shell) -n \(script)")
            #expect(run.code == 0, "\(run.output)")
          }
        }
      }
      for script in ["postinst", "prerm", "postrm"] {
        let run = try Shell.run("sh -n \(Checkout.root)/packaging/debian/\(script)")
        #expect(run.code == 0, "\(run.output)")
      }
    }
  }
}
