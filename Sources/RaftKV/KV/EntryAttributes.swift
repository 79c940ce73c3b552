extension Entry {
  /// What few entries have: a lock's count and holder, and a client's own flags. An attribute that
  /// is zero takes no space, in memory or in a snapshot.
  package struct Attributes: Equatable, Sendable {
    /// How often the lock was taken.
    package var lockIndex: UInt64
    /// Opaque to us.
    package var flags: UInt64
    /// Who holds the lock; zero for nobody.
    package var session: (high: UInt64, low: UInt64)

    package init(
      lockIndex: UInt64 = 0, flags: UInt64 = 0, session: (high: UInt64, low: UInt64) = (0, 0)
    ) {
      self.lockIndex = lockIndex
      self.flags = flags
      self.session = session
    }

    package static let none = Attributes()

    package static func == (left: Attributes, right: Attributes) -> Bool {
      left.lockIndex == right.lockIndex && left.flags == right.flags
        && left.session == right.session
    }

    static let lockIndexField: UInt8 = 1
    static let flagsField: UInt8 = 2
    static let sessionField: UInt8 = 4
    static let knownFields: UInt8 = 7

    /// One bit per attribute that is set.
    var fields: UInt8 {
      (lockIndex != 0 ? Self.lockIndexField : 0) | (flags != 0 ? Self.flagsField : 0)
        | (session != (0, 0) ? Self.sessionField : 0)
    }

    static func size(of fields: UInt8) -> Int {
      if fields == 0 { return 0 }
      return (fields & lockIndexField != 0 ? 8 : 0) + (fields & flagsField != 0 ? 8 : 0)
        + (fields & sessionField != 0 ? 16 : 0)
    }

    func store(to target: UnsafeMutableRawPointer) {
      var target = target
      func store(_ word: UInt64) {
        target.storeBytes(of: word.littleEndian, as: UInt64.self)
        target += 8
      }
      if lockIndex != 0 { store(lockIndex) }
      if flags != 0 { store(flags) }
      if session != (0, 0) {
        store(session.high)
        store(session.low)
      }
    }

    init(loading fields: UInt8, from source: UnsafeRawPointer) {
      self.init()
      if fields == 0 { return }
      var source = source
      func load() -> UInt64 {
        defer { source += 8 }
        return UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
      }
      if fields & Self.lockIndexField != 0 { lockIndex = load() }
      if fields & Self.flagsField != 0 { flags = load() }
      if fields & Self.sessionField != 0 {
        session.high = load()
        session.low = load()
      }
    }
  }
}
