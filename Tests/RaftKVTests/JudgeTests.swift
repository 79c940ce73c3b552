import Linearizability
import Testing

/// Every promise that a history can break, broken once.
@Suite("The judge of what clients saw")
struct JudgeTests {
  private static let bound: UInt64 = 100

  /// Two writes and a delete of one key, one after the other, then what `reads` adds.
  private func violations(_ reads: Record...) -> [String] {
    let writes = [
      Record(client: 0, key: 0, .put(1), called: 1_000, returned: 1_100, index: 5),
      Record(client: 0, key: 0, .put(2), called: 2_000, returned: 2_100, index: 7),
      Record(client: 0, key: 0, .delete, called: 3_000, returned: 3_100, found: true, index: 9),
      Record(client: 1, key: 1, .put(3), called: 1_000),
    ]
    var judge = Judge(writes + reads, leaseBound: Self.bound)
    judge.run()
    return judge.violations
  }

  private func get(
    _ level: Record.Level, _ value: UInt64?, _ index: UInt64?, at time: UInt64, key: Int = 0,
    applied: UInt64? = nil
  ) -> Record {
    var record = Record(
      client: 2, key: key, .get(level), called: time, returned: time + 10, value: value,
      index: index, applied: applied)
    record.life = 1
    return record
  }

  @Test("what is promised passes")
  func good() {
    let found = violations(
      get(.consistent, nil, nil, at: 900), get(.consistent, 1, 5, at: 1_500),
      get(.consistent, 2, 7, at: 2_500), get(.consistent, nil, nil, at: 3_500),
      // Old, but not older than the bound.
      get(.byLease, 1, 5, at: 2_100 + Self.bound), get(.byLease, 3, 4, at: 1_200, key: 1),
      get(.stale, nil, nil, at: 2_500, applied: 4), get(.stale, 1, 5, at: 5_000, applied: 6),
      get(.stale, nil, nil, at: 5_100, applied: 9))
    #expect(found.isEmpty, "\(found)")
  }

  @Test("a consistent read that is old, or sees what nobody wrote")
  func consistent() {
    #expect(!violations(get(.consistent, 1, 5, at: 2_500)).isEmpty)
    #expect(!violations(get(.consistent, nil, nil, at: 2_500)).isEmpty)
    #expect(!violations(get(.consistent, 2, 7, at: 3_500)).isEmpty)
    #expect(!violations(get(.consistent, 4, 6, at: 2_500)).isEmpty)
    #expect(!violations(get(.consistent, 3, 6, at: 2_500)).isEmpty, "of another key")
  }

  @Test("a default read older than the bound")
  func byLease() {
    #expect(!violations(get(.byLease, 1, 5, at: 2_101 + Self.bound)).isEmpty)
    #expect(!violations(get(.byLease, nil, nil, at: 1_500)).isEmpty)
    #expect(!violations(get(.byLease, 2, 7, at: 1_900)).isEmpty, "from the future")
  }

  @Test("a stale read that is no past state, or of a process that went back")
  func stale() {
    #expect(!violations(get(.stale, 1, 5, at: 5_000, applied: 4)).isEmpty)
    #expect(!violations(get(.stale, 1, 5, at: 5_000, applied: 7)).isEmpty)
    #expect(!violations(get(.stale, nil, nil, at: 5_000, applied: 7)).isEmpty)
    #expect(!violations(get(.stale, 1, 5, at: 5_000)).isEmpty)
    let newer = get(.stale, 2, 7, at: 4_000, applied: 8)
    let older = get(.stale, 1, 5, at: 5_000, applied: 6)
    #expect(!violations(newer, older).isEmpty)
    var other = older
    other.life = 2
    #expect(violations(newer, other).isEmpty, "another process starts anew")
  }

  @Test("indexes that two answers disagree on, or that do not rise with time")
  func indexes() {
    #expect(!violations(get(.consistent, 2, 8, at: 2_500)).isEmpty)
    let late = Record(client: 3, key: 1, .put(9), called: 4_000, returned: 4_100, index: 8)
    #expect(!violations(late).isEmpty)
  }

  @Test("a delete of unknown outcome explains that nothing is there; a known one is needed else")
  func deletes() {
    let nothing = get(.consistent, nil, nil, at: 2_500)
    let delete = Record(client: 3, key: 0, .delete, called: 2_200)
    #expect(!violations(nothing).isEmpty)
    // The known delete at 3 000 found something: it must have been put again, which nobody did.
    let putAgain = Record(client: 4, key: 0, .put(5), called: 2_700, returned: 2_800, index: 8)
    #expect(violations(nothing, delete, putAgain).isEmpty)
    #expect(!violations(nothing, delete).isEmpty)
  }
}
