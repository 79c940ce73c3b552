extension Node {
  /// One removal on its way down the tree. The key is known to be there, so no node is copied in
  /// vain.
  struct Removal {
    let key: UnsafeRawBufferPointer
    var removed: Entry?
    var nodesCopied = 0
  }

  static func remove(_ removal: inout Removal, from node: inout Node) {
    makeUnique(&node, counting: &removal.nodesCopied)
    guard node.height > 0 else {
      let (slot, isFound) = node.search(removal.key)
      precondition(isFound, "only a key that was found is removed")
      removal.removed = node.removeKey(at: slot)
      return
    }
    let slot = node.childSlot(for: removal.key)
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
      insertKey(separator, at: count)
      right.moveChildren(from: 0, to: self)
    }
    right.moveKeys(from: 0, to: self)
  }

  /// Moves the first of the right child to the end of the left one.
  private func rotateLeft(_ slot: Int) {
    let (left, right) = (children[slot], children[slot + 1])
    let first = right.removeKey(at: 0)
    if left.height == 0 {
      left.insertKey(first, at: left.count)
      replaceKey(Node.separator(first, right.keys[0]), at: slot)
    } else {
      left.insertKey(keys[slot], at: left.count)
      left.insertChild(right.removeChild(at: 0), at: left.childCount)
      replaceKey(first, at: slot)
    }
  }

  /// Moves the last of the left child to the front of the right one.
  private func rotateRight(_ slot: Int) {
    let (left, right) = (children[slot], children[slot + 1])
    let last = left.removeKey(at: left.count - 1)
    if left.height == 0 {
      right.insertKey(last, at: 0)
      replaceKey(Node.separator(left.keys[left.count - 1], last), at: slot)
    } else {
      right.insertKey(keys[slot], at: 0)
      right.insertChild(left.removeChild(at: left.childCount - 1), at: 0)
      replaceKey(last, at: slot)
    }
  }
}
