/// A node of `OrderedMap`, in one allocation: columns of 64 words.
///
/// ```
/// leaf      prefixes | entries                  keyCount <= 64, in ascending order
/// branch    prefixes | separators | children    keyCount == childCount - 1 <= 63
///
///              separator 0   separator 1
///   child 0  <             <=  child 1  <   <=  child 2
/// ```
/// A separator is an entry without a value whose key lies above everything to its left and not
/// above anything to its right. Prefixes stand in a column of their own, so that a search touches
/// few cache lines and, mostly, one key.
final class Node: ManagedBuffer<Node.Header, UInt64> {
  struct Header {
    var keyCount: Int32
    var childCount: Int16
    /// 0 for a leaf.
    let height: Int16
  }

  /// The words of a column. More would make inserts shift more, fewer would make the tree higher:
  /// 64 prefixes are eight cache lines.
  static let capacity = 64
  /// After a removal a node with fewer keys than this joins its neighbour or takes from it.
  static let minimum = capacity / 4
  /// Neighbours join up to this many, so that the next insert does not part them again.
  static let mergeLimit = capacity * 3 / 4

  static func make(height: Int) -> Node {
    let columns = height == 0 ? 2 : 3
    let buffer = Node.create(minimumCapacity: columns * capacity) { buffer in
      buffer.withUnsafeMutablePointerToElements { words in
        let words = UnsafeMutableRawPointer(words)
        let column = capacity * MemoryLayout<UInt64>.stride
        (words + column).bindMemory(to: Entry.self, capacity: capacity)
        if height > 0 { (words + 2 * column).bindMemory(to: Node.self, capacity: capacity) }
      }
      return Header(keyCount: 0, childCount: 0, height: Int16(height))
    }
    return unsafeDowncast(buffer, to: Node.self)
  }

  deinit {
    keys.deinitialize(count: count)
    if childCount > 0 { children.deinitialize(count: childCount) }
  }

  /// The number of keys: entries of a leaf, separators of a branch.
  var count: Int {
    get { Int(header.keyCount) }
    set { header.keyCount = Int32(newValue) }
  }
  var childCount: Int {
    get { Int(header.childCount) }
    set { header.childCount = Int16(newValue) }
  }
  var height: Int { Int(header.height) }
  /// What fills a node: entries of a leaf, children of a branch.
  var fill: Int { height == 0 ? count : childCount }

  var prefixes: UnsafeMutablePointer<UInt64> { withUnsafeMutablePointerToElements { $0 } }
  var keys: UnsafeMutablePointer<Entry> {
    UnsafeMutableRawPointer(prefixes + Self.capacity).assumingMemoryBound(to: Entry.self)
  }
  var children: UnsafeMutablePointer<Node> {
    UnsafeMutableRawPointer(prefixes + 2 * Self.capacity).assumingMemoryBound(to: Node.self)
  }

  /// Another node with the same keys and children.
  func copy() -> Node {
    let node = Node.make(height: height)
    node.prefixes.initialize(from: prefixes, count: count)
    node.keys.initialize(from: keys, count: count)
    if childCount > 0 { node.children.initialize(from: children, count: childCount) }
    node.count = count
    node.childCount = childCount
    return node
  }

  /// Makes sure that nobody else sees a change of `node`, and counts the copy that this may take.
  static func makeUnique(_ node: inout Node, counting copies: inout Int) {
    if isKnownUniquelyReferenced(&node) { return }
    node = node.copy()
    copies += 1
  }

  // MARK: Search

  /// The first slot whose key is not below `key`, and whether it is `key`.
  func search(_ key: UnsafeRawBufferPointer, prefix: UInt64) -> (slot: Int, isFound: Bool) {
    let prefixes = self.prefixes
    var low = 0
    var length = count
    while length > 0 {
      let half = length >> 1
      let isBelow = prefixes[low + half] < prefix
      low = isBelow ? low + half + 1 : low
      length = isBelow ? length - half - 1 : half
    }
    // Keys that share their first eight bytes with `key` are compared in full.
    let keys = self.keys
    var end = count
    while low < end {
      let middle = (low + end) / 2
      if prefixes[middle] > prefix {
        end = middle
        continue
      }
      let order = KeyOrder.compare(keys[middle].key, key)
      if order == 0 { return (middle, true) }
      if order < 0 { low = middle + 1 } else { end = middle }
    }
    return (low, false)
  }

  /// The child under which `key` belongs.
  func childSlot(for key: UnsafeRawBufferPointer, prefix: UInt64) -> Int {
    let (slot, isFound) = search(key, prefix: prefix)
    return isFound ? slot + 1 : slot
  }

  // MARK: Columns

  func insertKey(_ key: Entry, prefix: UInt64, at slot: Int) {
    (prefixes + slot + 1).moveInitialize(from: prefixes + slot, count: count - slot)
    (keys + slot + 1).moveInitialize(from: keys + slot, count: count - slot)
    (prefixes + slot).initialize(to: prefix)
    (keys + slot).initialize(to: key)
    count += 1
  }

  func insertChild(_ child: Node, at slot: Int) {
    (children + slot + 1).moveInitialize(from: children + slot, count: childCount - slot)
    (children + slot).initialize(to: child)
    childCount += 1
  }

  func removeKey(at slot: Int) -> Entry {
    let key = (keys + slot).move()
    (keys + slot).moveInitialize(from: keys + slot + 1, count: count - slot - 1)
    (prefixes + slot).moveInitialize(from: prefixes + slot + 1, count: count - slot - 1)
    count -= 1
    return key
  }

  func removeChild(at slot: Int) -> Node {
    let child = (children + slot).move()
    (children + slot).moveInitialize(from: children + slot + 1, count: childCount - slot - 1)
    childCount -= 1
    return child
  }

  /// Moves the keys from `slot` on to the end of `target`.
  func moveKeys(from slot: Int, to target: Node) {
    let moved = count - slot
    (target.prefixes + target.count).moveInitialize(from: prefixes + slot, count: moved)
    (target.keys + target.count).moveInitialize(from: keys + slot, count: moved)
    target.count += moved
    count = slot
  }

  /// Moves the children from `slot` on to the end of `target`.
  func moveChildren(from slot: Int, to target: Node) {
    let moved = childCount - slot
    (target.children + target.childCount).moveInitialize(from: children + slot, count: moved)
    target.childCount += moved
    childCount = slot
  }
}
