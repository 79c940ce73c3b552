import Foundation
import Synchronization

/// A client that knows all nodes, as one behind no proxy would be written. It keeps one connection;
/// where that was closed while idle, or a node refuses, it goes to the next node; it follows
/// redirects; and it never sends a request again whose bytes a node may have taken.
final class RollingClients: Sendable {
  private struct State {
    var isStopping = false
    var running = 0
    var answered = 0
    var redirects = 0
    /// Nodes that refused or had closed: no failures.
    var detours = 0
    var acknowledged: [String: String] = [:]
    var failures: [String] = []
  }

  private let state = Mutex(State())

  init(_ count: Int, to addresses: [String]) {
    for number in 0..<count {
      state.withLock { $0.running += 1 }
      Thread.detachNewThread {
        One(number, addresses, self).run()
        self.state.withLock { $0.running -= 1 }
      }
    }
  }

  var answered: Int { state.withLock { $0.answered } }
  var failures: [String] { state.withLock { $0.failures } }
  var detours: Int { state.withLock { $0.detours } }
  var redirects: Int { state.withLock { $0.redirects } }

  func awaitMore(_ more: Int) throws {
    let wanted = answered + more
    try eventually("\(more) more answers, failures so far: \(failures)") { answered >= wanted }
  }

  /// Ends the clients; everything that was acknowledged to any of them.
  func stop() throws -> [String: String] {
    state.withLock { $0.isStopping = true }
    try eventually("the clients end") { state.withLock { $0.running } == 0 }
    return state.withLock { $0.acknowledged }
  }

  /// One client in its thread.
  private final class One {
    private let number: Int
    private let addresses: [String]
    private let all: RollingClients
    private var position: Int
    private var connection: (address: String, stream: Connection)?
    /// Nodes that said good-bye, and until when they are not gone back to unless redirected to.
    private var avoided: [String: Double] = [:]

    init(_ number: Int, _ addresses: [String], _ all: RollingClients) {
      self.number = number
      self.addresses = addresses
      self.all = all
      position = number
    }

    func run() {
      var round = 0
      while !all.state.withLock({ $0.isStopping }) {
        let key = "client\(number)-\(round)"
        let level = ["default", "stale", "consistent"][round % 3]
        ask("PUT /key?key=\(key)", body: "\(round)")
        ask("GET /key?key=\(key)&level=\(level)", body: nil)
        round += 1
      }
    }

    private func ask(_ request: String, body: String?) {
      let deadline = Clock.now + 60
      while Clock.now < deadline {
        guard let (address, stream) = connect() else { continue }
        do {
          let length = body.map { "Content-Length: \($0.utf8.count)\r\n" } ?? ""
          try stream.send(
            "\(request) HTTP/1.1\r\nHost: \(address)\r\n\(length)\r\n\(body ?? "")")
          let response = try stream.response()
          if response["Connection"] == "close" { leave(address) }
          if response.status == 307 {
            follow(response)
            continue
          }
          return finish(request, body, response, address)
        } catch {
          connection = nil
          return fail("\(request) at \(address): \(error)")
        }
      }
      fail("\(request): no answer within a minute")
    }

    private func finish(_ request: String, _ body: String?, _ response: Response, _ address: String)
    {
      // A stale read may come before its write; nothing else may miss it.
      let isFine =
        response.status == 200 || (response.status == 404 && request.contains("level=stale"))
      guard isFine else {
        return fail("\(request) at \(address): \(response.status) \(response.text)")
      }
      all.state.withLock {
        $0.answered += 1
        if let body { $0.acknowledged[String(request.split(separator: "=")[1])] = body }
      }
    }

    private func fail(_ what: String) { all.state.withLock { $0.failures.append(what) } }

    private func leave(_ address: String) {
      connection = nil
      avoided[address] = Clock.now + 1
    }

    private func follow(_ response: Response) {
      all.state.withLock { $0.redirects += 1 }
      let target = response["Location"]?.dropFirst("http://".count).prefix { $0 != "/" }
      if let index = addresses.firstIndex(where: { $0 == target ?? "" }) {
        position = index
        avoided[addresses[index]] = nil
      }
      if connection?.address != addresses[position % addresses.count] { connection = nil }
    }

    /// The connection that is there, or a new one to the next node that takes one.
    private func connect() -> (address: String, stream: Connection)? {
      if let open = connection {
        if !open.stream.isClosedByPeer { return open }
        detour()
        leave(open.address)
      }
      let address = addresses[position % addresses.count]
      if let until = avoided[address], Clock.now < until {
        position += 1
        // All of them at once: none is left to go to but those.
        if addresses.allSatisfy({ avoided[$0] ?? 0 > Clock.now }) { Clock.sleep(0.01) }
        return nil
      }
      guard let stream = try? Connection(to: address) else {
        detour()
        position += 1
        Clock.sleep(0.01)
        return nil
      }
      connection = (address, stream)
      return connection
    }

    private func detour() { all.state.withLock { $0.detours += 1 } }
  }
}
