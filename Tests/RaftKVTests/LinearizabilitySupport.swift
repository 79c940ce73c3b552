import Foundation
import Linearizability
import RaftKV

/// The definition, word for word: is there a sequence of the operations, in which none stands
/// before one that returned before its call, and the register answers as they were answered? Those
/// whose outcome is unknown may be left out. Factorial, for histories of a handful.
enum EveryOrder {
  static func allows(_ history: [Invocation]) -> Bool {
    Set(history.map(\.key)).allSatisfy { key in
      extend(from: nil, history.filter { $0.key == key })
    }
  }

  private static func extend(from value: UInt64?, _ rest: [Invocation]) -> Bool {
    if rest.allSatisfy({ $0.returned == nil }) { return true }
    for (place, operation) in rest.enumerated() {
      let isPreceded = rest.contains { other in
        guard let returned = other.returned else { return false }
        return returned < operation.called
      }
      if isPreceded { continue }
      var others = rest
      others.remove(at: place)
      let (isLegal, after) = step(value, operation.action)
      if isLegal, extend(from: after, others) { return true }
    }
    return false
  }

  private static func step(
    _ value: UInt64?, _ action: Invocation.Action
  ) -> (isLegal: Bool, after: UInt64?) {
    switch action {
    case .get(let seen): return (seen == value, value)
    case .put(let new): return (true, new)
    case .delete(.some(true)): return (value != nil, nil)
    case .delete(.some(false)): return (value == nil, nil)
    case .delete(nil): return (true, nil)
    case .compareAndSet(let old, let new, .some(true)): return (value == old, new)
    case .compareAndSet(let old, _, .some(false)): return (value != old, value)
    case .compareAndSet(let old, let new, nil): return (true, value == old ? new : value)
    }
  }
}

enum RandomHistory {
  /// Up to seven operations on one or two keys, with answers that are often, but not always,
  /// possible.
  static func make(_ random: inout Random, allowsRepeats: Bool) -> [Invocation] {
    var values: [UInt64] = [1, 2, 3, 4, 5, 6, 7]
    return (0..<Int.random(in: 1...7, using: &random)).map { number in
      let called = UInt64.random(in: 0...12, using: &random)
      let returned = called + UInt64.random(in: 0...8, using: &random)
      let isUnknown = Int.random(in: 0..<4, using: &random) == 0
      let answer: Bool? =
        isUnknown ? nil : [true, false, nil].randomElement(using: &random)!
      let some = UInt64.random(in: 1...3, using: &random)
      let action: Invocation.Action =
        switch Int.random(in: 0..<(allowsRepeats ? 12 : 10), using: &random) {
        case 0..<4 where !isUnknown: .get(Bool.random(using: &random) ? some : nil)
        case 0..<8: .put(allowsRepeats ? some : values.removeFirst())
        case 8..<10: .delete(found: answer)
        default:
          .compareAndSet(some, to: UInt64.random(in: 1...3, using: &random), succeeded: answer)
        }
      let key = Int.random(in: 0..<8, using: &random) == 0 ? 1 : 0
      return Invocation(
        client: number, key: key, action, called: called, returned: isUnknown ? nil : returned)
    }
  }

  /// What clients of a true register see: each operation takes effect at one moment inside.
  static func ofRegister(
    _ random: inout Random, operations: Int, clients: Int
  ) -> [Invocation] {
    var free = Array(repeating: UInt64(0), count: clients)
    var moments: [(moment: UInt64, operation: Invocation)] = []
    for number in 0..<operations {
      let client = Int.random(in: 0..<clients, using: &random)
      let called = free[client] + UInt64.random(in: 1...20, using: &random)
      let moment = called + UInt64.random(in: 0...50, using: &random)
      let returned = moment + UInt64.random(in: 0...50, using: &random)
      let isUnknown = Int.random(in: 0..<100, using: &random) == 0
      free[client] = returned
      let action: Invocation.Action =
        isUnknown || Bool.random(using: &random) ? .put(UInt64(number)) : .get(nil)
      moments.append(
        (
          moment,
          Invocation(
            client: client, action, called: called, returned: isUnknown ? nil : returned)
        ))
    }
    var value: UInt64?
    return moments.sorted { $0.moment < $1.moment }.map { item in
      var operation = item.operation
      switch operation.action {
      case .put(let new): value = new
      default: operation.action = .get(value)
      }
      return operation
    }
  }
}

/// Histories drawn against time; the files say how to read them.
struct DrawnHistory {
  var title: String
  var operations: [Invocation]

  static func load(_ name: String) throws -> [DrawnHistory] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    let text = try String(
      contentsOf: folder.appending(path: "Histories/\(name).txt"), encoding: .utf8)
    return text.components(separatedBy: "\n\n").compactMap { paragraph in
      let lines = paragraph.split(separator: "\n")
      let history = DrawnHistory(
        title: lines.filter { $0.hasPrefix("#") }.joined(separator: " "),
        operations: lines.filter { !$0.hasPrefix("#") }.enumerated().flatMap {
          operations(Array($0.element), client: $0.offset)
        })
      return history.operations.isEmpty ? nil : history
    }
  }

  private static func operations(_ line: [Character], client: Int) -> [Invocation] {
    line.indices.filter { line[$0] == "[" }.map { start in
      let end = line[start...].firstIndex { $0 == "]" || $0 == ">" }!
      var text = String(line[(start + 1)..<end])
      var key = 0
      if text.hasPrefix("y:") {
        key = 1
        text.removeFirst(2)
      }
      return Invocation(
        client: client, key: key, action(text.split(separator: " "), isUnknown: line[end] == ">"),
        called: UInt64(start),
        returned: line[end] == "]" ? UInt64(end) : nil)
    }
  }

  private static func action(_ words: [Substring], isUnknown: Bool) -> Invocation.Action {
    switch (words[0], words.count) {
    case ("get", 2): .get(UInt64(words[1]))
    case ("put", 2): .put(UInt64(words[1])!)
    case ("delete", 1): .delete(found: nil)
    case ("delete", 2): .delete(found: words[1] == "yes")
    case ("cas", 3):
      .compareAndSet(UInt64(words[1])!, to: UInt64(words[2])!, succeeded: isUnknown ? nil : true)
    case ("cas", 4): .compareAndSet(UInt64(words[1])!, to: UInt64(words[2])!, succeeded: false)
    default: preconditionFailure("not an operation: \(words)")
    }
  }
}

/// Jepsen's log of a register: `INFO  jepsen.util - 3 :invoke :cas [1 2]`, one event a line, in
/// order.
enum JepsenLog {
  struct Malformed: Error { var line: Substring }

  static func operations(_ text: String) throws -> [Invocation] {
    var operations: [Invocation] = []
    /// By process, what it has under way.
    var open: [Int: (action: Invocation.Action, called: UInt64)] = [:]
    for (time, line) in text.split(separator: "\n").enumerated() {
      guard let dash = line.firstRange(of: "jepsen.util - ") else { continue }
      let words = line[dash.upperBound...].split(whereSeparator: \.isWhitespace)
      guard words.count >= 4, let process = Int(words[0]) else { continue }
      let numbers = words[3...].map { UInt64($0.trimming("[]")) }
      if words[1] == ":invoke" {
        guard let action = invoked(words[2], numbers) else { throw Malformed(line: line) }
        open[process] = (action, UInt64(time))
        continue
      }
      guard let (action, called) = open.removeValue(forKey: process) else {
        throw Malformed(line: line)
      }
      let answered: Invocation.Action
      switch (words[1], action) {
      case (":ok", .get): answered = .get(numbers[0])
      case (":ok", .put): answered = action
      case (":ok", .compareAndSet(let old, let new, _)):
        answered = .compareAndSet(old, to: new, succeeded: true)
      case (":fail", .compareAndSet(let old, let new, _)):
        answered = .compareAndSet(old, to: new, succeeded: false)
      // Timed out: a read says nothing then, and anything else may yet take effect.
      case (":info", .get), (":fail", .get): continue
      case (":info", _):
        operations.append(Invocation(client: process, action, called: called, returned: nil))
        continue
      default: throw Malformed(line: line)
      }
      operations.append(
        Invocation(client: process, answered, called: called, returned: UInt64(time)))
    }
    // The log ended before these did.
    for (process, (action, called)) in open {
      if case .get = action { continue }
      operations.append(Invocation(client: process, action, called: called, returned: nil))
    }
    return operations
  }

  private static func invoked(_ name: Substring, _ numbers: [UInt64?]) -> Invocation.Action? {
    switch (name, numbers.first ?? nil, numbers.last ?? nil) {
    case (":read", _, _): .get(nil)
    case (":write", .some(let value), _): .put(value)
    case (":cas", .some(let old), .some(let new)): .compareAndSet(old, to: new, succeeded: nil)
    default: nil
    }
  }
}

extension Substring {
  fileprivate func trimming(_ characters: String) -> Substring {
    var rest = self
    while let first = rest.first, characters.contains(first) { rest.removeFirst() }
    while let last = rest.last, characters.contains(last) { rest.removeLast() }
    return rest
  }
}
