import Foundation

/// One HTTP answer, as it came.
struct Response {
  var status: Int
  var fields: [(name: String, value: String)]
  var body: [UInt8]

  /// The one field of this name, whatever its case; nil also where it stands twice.
  subscript(name: String) -> String? {
    let found = fields.filter { $0.name.lowercased() == name.lowercased() }
    return found.count == 1 ? found[0].value : nil
  }

  var text: String { String(decoding: body, as: UTF8.self) }

  func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    try JSONDecoder().decode(type, from: Data(body))
  }

  /// The code of an error answer: `{"error":CODE,"message":…}`, and nothing else.
  var error: String? {
    guard let failure = try? decode(ErrorBody.self), failure.message.hasSuffix(".") else {
      return nil
    }
    return failure.error
  }

  /// The index in the answer to a write.
  var index: UInt64? { (try? decode(WriteBody.self))?.index }
}

struct ErrorBody: Decodable {
  var error: String
  var message: String
}

struct WriteBody: Decodable {
  var index: UInt64
  var deleted: Bool?
}

/// `/status`, with every member that is promised: one that is missing does not decode.
struct NodeStatus: Decodable {
  struct Leader: Decodable, Equatable {
    var id: String
    var haddr: String
  }
  struct Member: Decodable {
    var id: String
    var addr: String
    var haddr: String
    var role: String
    var matchIndex: UInt64?
    var lastContactMs: Int?
  }
  var version: String
  var clusterId: String
  var id: String
  var role: String
  var term: UInt64
  var leader: Leader?
  var lastIndex: UInt64
  var commitIndex: UInt64
  var appliedIndex: UInt64
  var stateHash: String
  var uptimeMs: Int
  var members: [Member]

  var voters: [String] { members.filter { $0.role == "voter" }.map(\.id).sorted() }
  func member(_ id: String) -> Member? { members.first { $0.id == id } }
}
