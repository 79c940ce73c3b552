extension OrderedMap: Sequence {
  /// Walks a frozen copy: changes of the map meanwhile are not seen.
  package struct Iterator: Sequence, IteratorProtocol {
    /// The branches above the leaf, each with the child that is being walked.
    private var path: [(node: Node, slot: Int)] = []
    private var leaf: Node
    private var slot = 0
    /// Only keys that begin with this one's.
    private var bound: Entry?

    fileprivate init(_ map: OrderedMap, from start: UnsafeRawBufferPointer?, bound: Entry?) {
      leaf = map.root
      self.bound = bound
      guard let start else {
        descend()
        return
      }
      while leaf.height > 0 {
        let slot = leaf.childSlot(for: start)
        path.append((leaf, slot))
        leaf = leaf.children[slot]
      }
      slot = leaf.search(start).slot
    }

    package mutating func next() -> Entry? {
      while slot == leaf.count {
        guard advance() else { return nil }
      }
      let entry = leaf.keys[slot]
      if let bound, KeyOrder.commonCount(bound.key, entry.key) < bound.key.count { return nil }
      slot += 1
      return entry
    }

    /// Goes on to the next leaf; returns whether there is one.
    private mutating func advance() -> Bool {
      while let (node, slot) = path.last {
        if slot + 1 < node.childCount {
          path[path.count - 1].slot += 1
          leaf = node.children[slot + 1]
          descend()
          return true
        }
        path.removeLast()
      }
      return false
    }

    /// From the node in `leaf` to the first leaf below it.
    private mutating func descend() {
      while leaf.height > 0 {
        path.append((leaf, 0))
        leaf = leaf.children[0]
      }
      slot = 0
    }
  }

  package func makeIterator() -> Iterator { Iterator(self, from: nil, bound: nil) }

  /// The entries whose keys are not below `key`.
  package func entries(from key: UnsafeRawBufferPointer) -> Iterator {
    Iterator(self, from: key, bound: nil)
  }

  /// The entries whose keys begin with `prefix`.
  package func entries(withPrefix prefix: UnsafeRawBufferPointer) -> Iterator {
    let bound = Entry(
      key: prefix, value: UnsafeRawBufferPointer(start: nil, count: 0), createIndex: .zero,
      modifyIndex: .zero)
    return Iterator(self, from: prefix, bound: bound)
  }
}
