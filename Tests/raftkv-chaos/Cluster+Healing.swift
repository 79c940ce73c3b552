import Foundation
import Glibc

/// What an operator does, with the tools that the README names.
extension Cluster {
  /// True once the node is no member.
  func remove(_ node: Node) -> Bool {
    for other in nodes where other !== node {
      guard let answer = ask("POST", "/remove?id=\(node.name)", at: other, patience: 10) else {
        continue
      }
      if answer.status == 200 || answer.status == 404 { return true }
    }
    return false
  }

  /// True once the node is a voter.
  func join(_ node: Node) -> Bool {
    guard node.process != nil else { return false }
    for other in nodes where other !== node {
      let target = "/join?id=\(node.name)&addr=\(node.advertisedAddress)"
      if ask("POST", target, at: other, patience: 10)?.status == 200 { return true }
    }
    return false
  }

  /// For a node whose data is damaged or gone: remove it, empty its directory, start it with
  /// `-join`.
  func recover(_ node: Node) {
    guard node.isLost, node.process == nil, remove(node) else { return }
    node.clearDirectory()
    node.isLost = false
    start(node)
  }

  /// Puts everything right and waits until all nodes are voters that have the same state.
  func heal() throws(Failure) {
    network.heal()
    volume?.release()
    for node in nodes { node.resume() }
    let names = nodes.map(\.name).sorted()
    try eventually("all nodes are voters again", within: Self.patience) {
      for node in nodes where node.process == nil {
        if node.isLost { recover(node) } else { start(node) }
      }
      guard let leader = leader(), let status = status(leader) else { return false }
      for node in nodes where !status.members.contains(where: { $0.id == node.name }) {
        // One with state waits to be joined; an empty one asks by itself.
        if self.status(node)?.role == "removed" { _ = join(node) }
      }
      return nodes.allSatisfy { self.status($0)?.voters == names }
    }
    try converge()
  }

  /// Two cores with much to do stand still for seconds; an engine that does stands still for ever.
  private static let patience = 120.0

  /// All have applied the same, and then their states are equal.
  func converge() throws(Failure) {
    var hashes: Set<String> = []
    try eventually("all nodes have applied the same entries", within: Self.patience) {
      let statuses = nodes.compactMap { status($0) }
      guard statuses.count == nodes.count, Set(statuses.map(\.lastIndex)).count == 1,
        statuses.allSatisfy({ $0.appliedIndex == $0.lastIndex })
      else { return false }
      hashes = Set(statuses.map(\.stateHash))
      return true
    }
    if hashes.count != 1 { fail("the state hashes differ: \(hashes.sorted())") }
  }
}
