/// A node of `OrderedMap`, in one allocation: columns of 64 words.
///
/// ```
/// leaf      digests | entries                  keyCount <= 64, in ascending order
/// branch    digests | separators | children    keyCount == childCount - 1 <= 63
///
///              separator 0   separator 1
///   child 0  <             <=  child 1  <   <=  child 2
/// ```
/// A separator is an entry without a value whose key lies above everything to its left and not
/// above anything to its right.
///
/// The keys of a node mostly begin alike (`key:0000…`, `/service/web/…`). How many bytes they share
/// is known, and a digest is the eight bytes of a key behind those. Digests stand in a column of
/// their own, so that a search touches few cache lines and, mostly, one key.
final class Node: ManagedBuffer<Node.Header, UInt64> {
  struct Header {
    var keyCount: Int16
    var childCount: Int16
    /// Invariant: all keys have at least so many first bytes in common. Meaningless without keys.
    var sharedCount: UInt16
    /// 0 for a leaf.
    let height: Int16
  }

  /// The words of a column. More would make inserts shift more, fewer would make the tree higher:
  /// 64 digests are eight cache lines.
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
      return Header(keyCount: 0, childCount: 0, sharedCount: 0, height: Int16(height))
    }
    return unsafeDowncast(buffer, to: Node.self)
  }

  deinit {
    keys.deinitialize(count: count)
    if childCount > 0 { children.deinitialize(count: childCount) }
  }

  /// The header in place. `header` would look, at every access, whether another one overlaps it.
  private var fields: UnsafeMutablePointer<Header> { withUnsafeMutablePointerToHeader { $0 } }

  /// The number of keys: entries of a leaf, separators of a branch.
  var count: Int {
    get { Int(fields.pointee.keyCount) }
    set { fields.pointee.keyCount = Int16(newValue) }
  }
  var childCount: Int {
    get { Int(fields.pointee.childCount) }
    set { fields.pointee.childCount = Int16(newValue) }
  }
  private(set) var sharedCount: Int {
    get { Int(fields.pointee.sharedCount) }
    set { fields.pointee.sharedCount = UInt16(newValue) }
  }
  var height: Int { Int(fields.pointee.height) }
  /// What fills a node: entries of a leaf, children of a branch.
  var fill: Int { height == 0 ? count : childCount }

  var digests: UnsafeMutablePointer<UInt64> { withUnsafeMutablePointerToElements { $0 } }
  var keys: UnsafeMutablePointer<Entry> {
    UnsafeMutableRawPointer(digests + Self.capacity).assumingMemoryBound(to: Entry.self)
  }
  var children: UnsafeMutablePointer<Node> {
    UnsafeMutableRawPointer(digests + 2 * Self.capacity).assumingMemoryBound(to: Node.self)
  }

  /// Another node with the same keys and children.
  func copy() -> Node {
    let node = Node.make(height: height)
    node.digests.initialize(from: digests, count: count)
    node.keys.initialize(from: keys, count: count)
    if childCount > 0 { node.children.initialize(from: children, count: childCount) }
    node.sharedCount = sharedCount
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
  func search(_ key: UnsafeRawBufferPointer) -> (slot: Int, isFound: Bool) {
    guard count > 0 else { return (0, false) }
    if sharedCount > 0 {
      let first = keys[0].key
      let common = KeyOrder.commonCount(first, key)
      if common < sharedCount {
        // It differs from what all keys share: it lies before or behind all of them.
        let isBelow = common == key.count || key[common] < first[common]
        return (isBelow ? 0 : count, false)
      }
    }
    return searchAmongAlike(key)
  }

  /// The slot of `key`, if it is here. Unlike `search`, which must place a key that is not, this
  /// need not look at what the keys share: a key that begins otherwise equals none of them.
  func find(_ key: UnsafeRawBufferPointer) -> Int? {
    let (slot, isFound) = searchAmongAlike(key)
    return isFound ? slot : nil
  }

  /// As `search`, for a key that shares what the node's keys share.
  private func searchAmongAlike(_ key: UnsafeRawBufferPointer) -> (slot: Int, isFound: Bool) {
    let digest = KeyOrder.digest(of: key, from: sharedCount)
    let digests = self.digests
    var low = 0
    var length = count
    while length > 0 {
      let half = length >> 1
      let isBelow = digests[low + half] < digest
      low = isBelow ? low + half + 1 : low
      length = isBelow ? length - half - 1 : half
    }
    // Keys with the same digest are compared in full. Mostly there is one.
    let keys = self.keys
    var end = count
    var middle = low
    while low < end {
      if digests[middle] > digest {
        end = middle
      } else {
        let order = KeyOrder.compare(keys[middle].key, key)
        if order == 0 { return (middle, true) }
        if order < 0 { low = middle + 1 } else { end = middle }
      }
      middle = (low + end) / 2
    }
    return (low, false)
  }

  /// The child under which `key` belongs.
  func childSlot(for key: UnsafeRawBufferPointer) -> Int {
    let (slot, isFound) = search(key)
    return isFound ? slot + 1 : slot
  }

  // MARK: What the keys share

  /// Called before `key` joins: all have in common what the first of them has in common with it.
  private func admit(_ key: UnsafeRawBufferPointer) {
    if count == 0 {
      sharedCount = key.count
      return
    }
    let common = KeyOrder.commonCount(keys[0].key, key)
    if common < sharedCount { share(common) }
  }

  /// Called when keys have left or come in numbers: they are in order, so all have in common what
  /// the first and the last have.
  private func determineShared() {
    guard count > 0 else { return }
    let common = KeyOrder.commonCount(keys[0].key, keys[count - 1].key)
    if common != sharedCount { share(common) }
  }

  private func share(_ newCount: Int) {
    sharedCount = newCount
    for slot in 0..<count { digests[slot] = KeyOrder.digest(of: keys[slot].key, from: newCount) }
  }

  // MARK: Columns

  func insertKey(_ key: Entry, at slot: Int) {
    admit(key.key)
    (digests + slot + 1).moveInitialize(from: digests + slot, count: count - slot)
    (keys + slot + 1).moveInitialize(from: keys + slot, count: count - slot)
    (digests + slot).initialize(to: KeyOrder.digest(of: key.key, from: sharedCount))
    (keys + slot).initialize(to: key)
    count += 1
  }

  /// Puts `key` in the place of another one, whose neighbours it fits between.
  func replaceKey(_ key: Entry, at slot: Int) {
    admit(key.key)
    keys[slot] = key
    digests[slot] = KeyOrder.digest(of: key.key, from: sharedCount)
  }

  func insertChild(_ child: Node, at slot: Int) {
    (children + slot + 1).moveInitialize(from: children + slot, count: childCount - slot)
    (children + slot).initialize(to: child)
    childCount += 1
  }

  func removeKey(at slot: Int) -> Entry {
    let key = (keys + slot).move()
    (keys + slot).moveInitialize(from: keys + slot + 1, count: count - slot - 1)
    (digests + slot).moveInitialize(from: digests + slot + 1, count: count - slot - 1)
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
    guard moved > 0 else { return }
    let isFirst = target.count == 0
    (target.keys + target.count).moveInitialize(from: keys + slot, count: moved)
    target.count += moved
    count = slot
    if isFirst {
      target.digests.update(from: digests + slot, count: moved)
      target.sharedCount = sharedCount
    } else {
      target.share(0)
    }
    target.determineShared()
    determineShared()
  }

  /// Moves the children from `slot` on to the end of `target`.
  func moveChildren(from slot: Int, to target: Node) {
    let moved = childCount - slot
    (target.children + target.childCount).moveInitialize(from: children + slot, count: moved)
    target.childCount += moved
    childCount = slot
  }
}
