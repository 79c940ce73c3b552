/// Releases maps in slices. Dropping the last reference to a large tree frees every node and entry
/// at once, which takes a good part of a second for a million keys: long enough to lose an
/// election.
package struct Dismantler {
  /// Roots of what is left. Depth first, so it stays short: at most 64 nodes per level.
  private var nodes: [Node] = []

  package init() {}

  package var isEmpty: Bool { nodes.isEmpty }

  /// Takes the map over. What other maps share of it stays; they are to be dismantled as well.
  package mutating func take(_ map: consuming OrderedMap) { nodes.append(map.root) }

  /// Releases about `budget` entries, at least one node; returns whether nothing is left.
  package mutating func step(budget: Int) -> Bool {
    var released = 0
    while released < max(budget, 1), var node = nodes.popLast() {
      released += 1
      // Another map has it: only our reference goes.
      guard isKnownUniquelyReferenced(&node) else { continue }
      released += node.count
      let children = node.childCount
      for slot in 0..<children { nodes.append(node.children[slot]) }
      if children > 0 {
        node.children.deinitialize(count: children)
        node.childCount = 0
      }
    }
    return nodes.isEmpty
  }
}
