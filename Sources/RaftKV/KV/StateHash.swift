/// A 128-bit fingerprint of the whole map, equal on every node that has applied the same entries.
///
/// It is the sum, in two wrapping 64-bit lanes, of one hash per entry. A sum does not depend on
/// order and can be taken back, so that each change costs two hashes of entries, whatever the size
/// of the map.
package struct StateHash: Hashable, Sendable {
  package var high: UInt64
  package var low: UInt64
  package init(high: UInt64 = 0, low: UInt64 = 0) {
    self.high = high
    self.low = low
  }

  /// Changes with the hash function, its key, or what is hashed of an entry.
  package static let version: UInt32 = 2

  package mutating func insert(_ entry: Entry) {
    let hash = entry.hash
    high &+= hash.high
    low &+= hash.low
  }

  package mutating func remove(_ entry: Entry) {
    let hash = entry.hash
    high &-= hash.high
    low &-= hash.low
  }

  /// Recomputed from nothing; the incremental sum's dumb twin.
  package init(of map: OrderedMap) {
    self.init()
    for entry in map { insert(entry) }
  }
}

extension Entry {
  /// The entry's own hash. Both lengths and the field flags are hashed first, so that no two
  /// entries have the same words.
  var hash: StateHash {
    let key = self.key
    let value = self.value
    var sip = SipHash()
    sip.absorb(UInt64(value.count) << 32 | UInt64(key.count) << 8 | UInt64(fields))
    sip.absorb(createIndex.rawValue)
    sip.absorb(modifyIndex.rawValue)
    if fields != 0 {
      let attributes = self.attributes
      sip.absorb(attributes.lockIndex)
      sip.absorb(attributes.flags)
      sip.absorb(attributes.session.high)
      sip.absorb(attributes.session.low)
    }
    sip.absorb(key)
    sip.absorb(digesting: value)
    return withExtendedLifetime(self) { sip.finish() }
  }
}

/// The fingerprint at one index, as nodes compare it. Different versions are not compared.
package struct StateHashReport: Hashable, Sendable {
  package var version: UInt32
  package var index: LogIndex
  package var hash: StateHash
  package init(version: UInt32, index: LogIndex, hash: StateHash) {
    self.version = version
    self.index = index
    self.hash = hash
  }
}
