extension Node {
  /// One removal on its way down the tree. The key is known to be there, so no node is copied in
  /// vain.
  struct Removal {
    let key: UnsafeRawBufferPointer
    let prefix: UInt64
    var removed: Entry?
    var nodesCopied = 0
  }

  static func remove(_ removal: inout Removal, from node: inout Node) {
    makeUnique(&node, counting: &removal.nodesCopied)
    guard node.height > 0 else {
      let (slot, isFound) = node.search(removal.key, prefix: removal.prefix)
      precondition(isFound, "only a key that was found is removed")
      removal.removed = node.removeKey(at: slot)
      return
    }
    let slot = node.childSlot(for: removal.key, prefix: removal.prefix)
    remove(&removal, from: &node.children[slot])
    if node.children[slot].fill < minimum {
      node.rebalance(max(slot, 1) - 1, counting: &removal.nodesCopied)
    }
  }

  /// Joins the children in `slot` and `slot + 1` where they fit one node, or evens them out.
  private func rebalance(_ slot: Int, counting copies: inout Int) {
    precondition(slot + 1 < childCount, "every child has a neighbour")
    Node.makeUnique(&children[slot], counting: &copies)
    Node.makeUnique(&children[slot + 1], counting: &copies)
    let (left, right) = (children[slot], children[slot + 1])
    if left.fill + right.fill <= Node.mergeLimit {
      let separator = removeKey(at: slot)
      left.absorb(right, behind: separator)
      _ = removeChild(at: slot + 1)
      return
    }
    while left.fill + 1 < right.fill { rotateLeft(slot) }
    while right.fill + 1 < left.fill { rotateRight(slot) }
  }

  private func absorb(_ right: Node, behind separator: Entry) {
    if height > 0 {
      insertKey(separator, prefix: KeyOrder.prefix(of: separator.key), at: count)
      right.moveChildren(from: 0, to: self)
    }
    right.moveKeys(from: 0, to: self)
  }

  /// Moves the first of the right child to the end of the left one.
  private func rotateLeft(_ slot: Int) {
    let (left, right) = (children[slot], children[slot + 1])
    let prefix = right.prefixes[0]
    let first = right.removeKey(at: 0)
    if left.height == 0 {
      left.insertKey(first, prefix: prefix, at: left.count)
      setSeparator(Node.separator(first, right.keys[0]), at: slot)
    } else {
      left.insertKey(keys[slot], prefix: prefixes[slot], at: left.count)
      left.insertChild(right.removeChild(at: 0), at: left.childCount)
      setSeparator(first, at: slot)
    }
  }

  /// Moves the last of the left child to the front of the right one.
  private func rotateRight(_ slot: Int) {
    let (left, right) = (children[slot], children[slot + 1])
    let prefix = left.prefixes[left.count - 1]
    let last = left.removeKey(at: left.count - 1)
    if left.height == 0 {
      right.insertKey(last, prefix: prefix, at: 0)
      setSeparator(Node.separator(left.keys[left.count - 1], last), at: slot)
    } else {
      right.insertKey(keys[slot], prefix: prefixes[slot], at: 0)
      right.insertChild(left.removeChild(at: left.childCount - 1), at: 0)
      setSeparator(last, at: slot)
    }
  }

  private func setSeparator(_ separator: Entry, at slot: Int) {
    keys[slot] = separator
    prefixes[slot] = KeyOrder.prefix(of: separator.key)
  }
}
