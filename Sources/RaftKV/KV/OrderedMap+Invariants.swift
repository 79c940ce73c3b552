extension OrderedMap {
  /// The structure stated a second time, for tests: what is wrong with this tree, or nil.
  package func violatedInvariant() -> String? {
    var previous: Entry?
    var walked = 0
    for entry in self {
      if let previous, KeyOrder.compare(previous.key, entry.key) >= 0 { return "keys ascend" }
      previous = entry
      walked += 1
    }
    if walked != count { return "count is the number of entries" }
    return violation(in: root, isRoot: true, low: nil, high: nil)
  }

  /// Keys below `node` lie in low ..< high.
  private func violation(in node: Node, isRoot: Bool, low: Entry?, high: Entry?) -> String? {
    for slot in 0..<node.count {
      let key = node.keys[slot].key
      if KeyOrder.commonCount(node.keys[0].key, key) < node.sharedCount {
        return "keys share what they are said to"
      }
      if node.digests[slot] != KeyOrder.digest(of: key, from: node.sharedCount) {
        return "digests belong to keys"
      }
      if let low, KeyOrder.compare(key, low.key) < 0 { return "keys are not below their separator" }
      if let high, KeyOrder.compare(key, high.key) >= 0 {
        return "keys are below the next separator"
      }
    }
    if node.height == 0 {
      if node.childCount != 0 { return "leaves have no children" }
      return isRoot || node.count > 0 ? nil : "leaves below the root are not empty"
    }
    if node.childCount != node.count + 1 { return "a separator stands between two children" }
    if node.childCount < 2 { return "every child has a neighbour" }
    for slot in 0..<node.childCount {
      let child = node.children[slot]
      if child.height != node.height - 1 { return "all leaves are equally deep" }
      let low = slot > 0 ? node.keys[slot - 1] : low
      let high = slot < node.count ? node.keys[slot] : high
      if let wrong = violation(in: child, isRoot: false, low: low, high: high) { return wrong }
    }
    return nil
  }
}
