extension Node {
  /// One insertion on its way down the tree.
  struct Insertion {
    let entry: Entry
    /// The key is above all others: no search is needed.
    let isAppend: Bool
    var replaced: Entry?
    var nodesCopied = 0
  }

  /// What a full node hands to its parent.
  struct Split {
    let separator: Entry
    let right: Node
  }

  static func insert(_ insertion: inout Insertion, into node: inout Node) -> Split? {
    makeUnique(&node, counting: &insertion.nodesCopied)
    return node.height == 0 ? node.insertEntry(&insertion) : node.insertBelow(&insertion)
  }

  private func insertEntry(_ insertion: inout Insertion) -> Split? {
    let entry = insertion.entry
    let (slot, isFound) = insertion.isAppend ? (count, false) : search(entry.key)
    if isFound {
      insertion.replaced = keys[slot]
      keys[slot] = entry
      return nil
    }
    guard count == Node.capacity else {
      insertKey(entry, at: slot)
      return nil
    }
    let right = Node.make(height: 0)
    // Ascending keys leave full leaves behind them.
    let middle = slot == count ? count : count / 2
    moveKeys(from: middle, to: right)
    if slot > middle || right.count == 0 {
      right.insertKey(entry, at: slot - middle)
    } else {
      insertKey(entry, at: slot)
    }
    return Split(separator: Node.separator(keys[count - 1], right.keys[0]), right: right)
  }

  private func insertBelow(_ insertion: inout Insertion) -> Split? {
    let slot = insertion.isAppend ? childCount - 1 : childSlot(for: insertion.entry.key)
    guard let split = Node.insert(&insertion, into: &children[slot]) else { return nil }
    guard childCount == Node.capacity else {
      insert(split, at: slot)
      return nil
    }
    let right = Node.make(height: height)
    // The middle separator moves up. At the right end the left node stays full, as with leaves; the
    // right one gets two children at least, so that every child has a neighbour.
    let middle = slot == count ? count - 1 : count / 2
    moveKeys(from: middle + 1, to: right)
    moveChildren(from: middle + 1, to: right)
    let separator = removeKey(at: middle)
    if slot <= middle {
      insert(split, at: slot)
    } else {
      right.insert(split, at: slot - middle - 1)
    }
    return Split(separator: separator, right: right)
  }

  /// Takes in what the child in `slot` handed up.
  func insert(_ split: Split, at slot: Int) {
    insertKey(split.separator, at: slot)
    insertChild(split.right, at: slot + 1)
  }

  /// The shortest key above `left` and not above `right`.
  static func separator(_ left: Entry, _ right: Entry) -> Entry {
    let count = KeyOrder.commonCount(left.key, right.key) + 1
    return Entry(
      key: UnsafeRawBufferPointer(rebasing: right.key[..<count]),
      value: UnsafeRawBufferPointer(start: nil, count: 0), createIndex: .zero, modifyIndex: .zero)
  }
}
