/// Entries in the order of their keys: a B+tree that is copied on write.
///
/// It is a value. Copying it is one retain, O(1); a mutation then copies the nodes on its path that
/// are still shared, once each, so that a frozen copy can be read in slices while writes go on.
package struct OrderedMap {
  private(set) var root: Node
  package private(set) var count = 0
  /// Of all keys and values.
  package private(set) var bytes = 0
  /// How many nodes were copied because another map shared them.
  package private(set) var nodesCopied = 0

  package init() { root = Node.make(height: 0) }

  package var isEmpty: Bool { count == 0 }
  /// The number of nodes from the root to any leaf.
  package var height: Int { root.height + 1 }

  package func find(_ key: UnsafeRawBufferPointer) -> Entry? {
    var node = root
    while node.height > 0 { node = node.children[node.childSlot(for: key)] }
    return node.find(key).map { node.keys[$0] }
  }

  /// Puts `entry` in its key's place; returns what was there.
  @discardableResult
  package mutating func insert(_ entry: Entry) -> Entry? { insert(entry, isAppend: false) }

  /// Puts `entry` behind all others without a search, as loading a snapshot does. Returns whether
  /// its key is above all others; if not, nothing has happened.
  package mutating func append(_ entry: Entry) -> Bool {
    if let last, KeyOrder.compare(last.key, entry.key) >= 0 { return false }
    insert(entry, isAppend: true)
    return true
  }

  /// The entry with the highest key.
  package var last: Entry? {
    var node = root
    while node.height > 0 { node = node.children[node.childCount - 1] }
    return node.count > 0 ? node.keys[node.count - 1] : nil
  }

  @discardableResult
  private mutating func insert(_ entry: Entry, isAppend: Bool) -> Entry? {
    var insertion = Node.Insertion(entry: entry, isAppend: isAppend)
    if let split = Node.insert(&insertion, into: &root) {
      let branch = Node.make(height: root.height + 1)
      branch.insertChild(root, at: 0)
      branch.insert(split, at: 0)
      root = branch
    }
    nodesCopied += insertion.nodesCopied
    bytes += entry.size
    if let replaced = insertion.replaced { bytes -= replaced.size } else { count += 1 }
    return insertion.replaced
  }

  /// Removes the entry of `key`; returns what was there.
  @discardableResult
  package mutating func remove(_ key: UnsafeRawBufferPointer) -> Entry? {
    guard find(key) != nil else { return nil }
    var removal = Node.Removal(key: key)
    Node.remove(&removal, from: &root)
    if root.height > 0 && root.childCount == 1 { root = root.children[0] }
    nodesCopied += removal.nodesCopied
    count -= 1
    if let removed = removal.removed { bytes -= removed.size }
    return removal.removed
  }
}
