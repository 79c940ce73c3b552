import Testing

@testable import RaftKV

/// PendingReplies and PendingReads.
@Suite("PendingReplies")
struct PendingRepliesTests {
  private func token(_ number: UInt32) -> RequestToken {
    RequestToken(connection: 1, generation: 1, sequence: number)
  }

  private func item(_ index: UInt64, due: UInt64 = 100) -> PendingReplies.Item {
    PendingReplies.Item(
      index: LogIndex(index), term: Term(1), token: token(UInt32(index)),
      deadline: Instant(nanoseconds: due))
  }

  @Test("whoever waits for an entry is found when it is applied; entries of others have nobody")
  func order() {
    var pending = PendingReplies()
    for index in [3, 5, 6] as [UInt64] { pending.append(item(index)) }
    #expect(pending.remove(at: LogIndex(1)) == nil)
    let first = pending.remove(at: LogIndex(3))
    #expect(first?.token == token(3))
    let between = pending.remove(at: LogIndex(4))
    #expect(between == nil && pending.count == 2)
    let second = pending.remove(at: LogIndex(5))
    #expect(second?.token == token(5))
    let rest = pending.removeAll()
    #expect(rest.map(\.token) == [token(6)] && pending.isEmpty)
  }

  @Test("who has waited too long is taken out in order, and nobody before his time")
  func deadlines() {
    var pending = PendingReplies()
    pending.append(item(1, due: 10))
    pending.append(item(2, due: 20))
    #expect(pending.nextDeadline == Instant(nanoseconds: 10))
    let early = pending.removeFirst(ifDueAt: Instant(nanoseconds: 9))
    #expect(early == nil)
    let due = pending.removeFirst(ifDueAt: Instant(nanoseconds: 10))
    #expect(due?.token == token(1))
    let next = pending.removeFirst(ifDueAt: Instant(nanoseconds: 10))
    #expect(next == nil && pending.nextDeadline == Instant(nanoseconds: 20))
  }

  @Test("reads are ready once their ticket is confirmed and its index applied, each with its key")
  func reads() {
    var pending = PendingReads()
    for (ticket, key) in [(1, "a"), (1, "bb"), (2, "")] as [(UInt64, String)] {
      Array(key.utf8).withUnsafeBytes {
        pending.append(
          ticket: ticket, token: token(UInt32(key.utf8.count)),
          deadline: Instant(nanoseconds: 50 + ticket), key: $0)
      }
    }
    expect(pending.count == 3 && pending.keyBytes == 3)
    expect(!pending.isReady(appliedIndex: LogIndex(100)), "nothing is confirmed")
    pending.confirm(ConfirmedReads(through: 1, index: LogIndex(7)))
    expect(!pending.isReady(appliedIndex: LogIndex(6)), "the state is older than the read")
    var keys: [String] = []
    while pending.isReady(appliedIndex: LogIndex(7)) {
      pending.removeFirst { _, key in keys.append(String(decoding: key, as: UTF8.self)) }
    }
    expect(keys == ["a", "bb"] && pending.count == 1 && pending.keyBytes == 0)
    expect(!pending.isDue(at: Instant(nanoseconds: 51)))
    expect(pending.isDue(at: Instant(nanoseconds: 52)))
  }

  @Test("tickets die with the leadership that gave them (C2)")
  func lost() {
    var pending = PendingReads()
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    pending.append(ticket: 5, token: token(1), deadline: .zero, key: nothing)
    pending.confirm(ConfirmedReads(through: 9, index: .zero))
    var told: [RequestToken] = []
    pending.removeAll { told.append($0) }
    expect(told == [token(1)] && pending.isEmpty)
    // The next leadership's tickets begin anew: an old confirmation is none of theirs.
    pending.append(ticket: 1, token: token(2), deadline: .zero, key: nothing)
    expect(!pending.isReady(appliedIndex: LogIndex(9)))
  }

  /// `#expect` cannot look into a value that is not copyable.
  private func expect(
    _ condition: Bool, _ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation
  ) {
    #expect(condition, comment, sourceLocation: location)
  }
}
