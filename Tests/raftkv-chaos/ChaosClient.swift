import Foundation
import Linearizability

/// One client in a thread of its own: it asks whichever node it likes, goes where it is sent, and
/// writes down what it was told.
///
/// A request that was refused as not accepted is not tried again but made anew, with a value of its
/// own: if the refused one takes effect all the same, somebody reads a value that was never
/// written.
struct ChaosClient: Sendable {
  let number: Int
  let round: Int
  let keyCount: Int
  let nodes: [Node.Place]
  let lives: Lives
  let records: Records

  private static let patience = 3.0

  func start(seed: UInt64) {
    records.clientBegan()
    Thread.detachNewThread {
      var random = Seeded(seed)
      let http = HTTPClient()
      while !records.isOver {
        step(&random, http)
        // Mostly at once, now and then after a rest, so that the load has holes.
        Clock.sleep(random.coin(0.2) ? random.between(0.01, 0.08) : random.between(0.0, 0.01))
      }
      records.clientEnded()
    }
  }

  private func step(_ random: inout Seeded, _ http: HTTPClient) {
    let key = random.below(keyCount)
    let node = random.below(nodes.count)
    switch random.below(100) {
    case ..<42: put(key, at: node, asText: random.coin(0.3), http)
    case ..<46: delete(key, at: node, http)
    case ..<64: read(key, .consistent, at: node, http)
    case ..<82: read(key, .byLease, at: node, http)
    default: read(key, .stale, at: node, http)
    }
  }

  static func name(round: Int, key: Int) -> String { "r\(round)-k\(key)" }

  private func target(_ key: Int) -> String { "/key?key=\(Self.name(round: round, key: key))" }

  // MARK: Writes

  private func put(_ key: Int, at node: Int, asText: Bool, _ http: HTTPClient) {
    write(at: node) { port in
      let value = records.newValue()
      let bytes = Value.bytes(value)
      let record = Record(
        client: number, key: key, .put(value), called: Clock.now)
      guard asText else {
        return (
          record,
          http.request("PUT", target(key), body: bytes, port: port, patience: Self.patience)
        )
      }
      let name = Self.name(round: round, key: key)
      let text = "{\"key\":\"\(name)\",\"value\":\"\(String(decoding: bytes, as: UTF8.self))\"}"
      return (
        record,
        http.request("POST", "/key", body: Array(text.utf8), port: port, patience: Self.patience)
      )
    }
  }

  private func delete(_ key: Int, at node: Int, _ http: HTTPClient) {
    write(at: node) { port in
      let record = Record(client: number, key: key, .delete, called: Clock.now)
      return (record, http.request("DELETE", target(key), port: port, patience: Self.patience))
    }
  }

  /// Once, and once more at each node it is sent to.
  private func write(at node: Int, _ attempt: (UInt16) -> (Record, Exchange)) {
    var port = nodes[node].httpPort
    for _ in 0..<3 {
      var (record, exchange) = attempt(port)
      guard case .answer(let answer) = exchange else {
        if case .lost = exchange { records.add(record) }
        return
      }
      switch answer.status {
      case 200:
        guard let body = try? JSONDecoder().decode(Written.self, from: Data(answer.body)) else {
          return records.surprise("a write was answered '\(answer.text)'")
        }
        record.returned = Clock.now
        record.index = body.index
        record.found = body.deleted
        return records.add(record)
      case 307:
        guard let leader = answer.redirectedTo else {
          return records.surprise("redirected to '\(answer.fields["location"] ?? "")'")
        }
        port = leader
      case 503, 507: return
      case 504: return records.add(record)
      default: return records.surprise("a write was answered \(answer.status) \(answer.text)")
      }
    }
  }

  struct Written: Decodable {
    var index: UInt64
    var deleted: Bool?
  }

  // MARK: Reads

  private func read(_ key: Int, _ level: Record.Level, at node: Int, _ http: HTTPClient) {
    var port = nodes[node].httpPort
    for _ in 0..<3 {
      let life = lives.current(node)
      var record = Record(
        client: number, key: key, .get(level), called: Clock.now)
      let target = "\(target(key))&level=\(level.rawValue)"
      guard
        case .answer(let answer) = http.request(
          "GET", target, port: port, patience: Self.patience)
      else { return }
      record.returned = Clock.now
      switch answer.status {
      case 200:
        guard let value = Value.number(answer.body), let index = answer.number("x-raftkv-index")
        else {
          return records.surprise("\(target) was answered '\(answer.text.prefix(40))'")
        }
        record.value = value
        record.index = index
      case 404: break
      case 307 where level != .stale:
        guard let leader = answer.redirectedTo else { return }
        port = leader
        continue
      case 503: return
      default: return records.surprise("\(target) was answered \(answer.status) \(answer.text)")
      }
      if level == .stale {
        record.applied = answer.number("x-raftkv-applied-index")
        record.node = node
        record.life = lives.current(node) == life ? life : nil
      }
      return records.add(record)
    }
  }
}
