import DequeModule

/// The way of a leader's writes from their arrival to their answers, measured for each batch that
/// was handed to the disk: a handful of clock readings for a thousand writes.
///
/// ```
///   proposed ─queue─▶ handed over ─persist─▶ durable here
///                          └───────replicate──────▶ committed ─apply─▶ answered
/// ```
package struct WriteStages {
  private struct Mark {
    var ticket: UInt64
    var last: LogIndex
    var count: UInt64
    var handedOver: Instant
    var committed = Instant.zero
  }

  package let queue = Histogram()
  package let persist = Histogram()
  package let replicate = Histogram()
  package let apply = Histogram()

  /// Writes since the last hand-over: the first one's time, and how many.
  private var firstProposed: Instant?
  private var proposed: (last: LogIndex, count: UInt64) = (.zero, 0)
  /// In order of tickets and of indexes. The first `persistedCount` are durable here, the first
  /// `committedCount` committed.
  private var marks: Deque<Mark> = []
  private var persistedCount = 0
  private var committedCount = 0
  /// A leader whose followers are gone goes on for a while; what is beyond this is not measured.
  private static let maximumMarks = 4096

  mutating func didPropose(_ index: LogIndex, at now: Instant) {
    if firstProposed == nil { firstProposed = now }
    proposed = (index, proposed.count + 1)
  }

  mutating func didHandOver(ticket: UInt64, at now: Instant) {
    guard let first = firstProposed else { return }
    // All of the batch count as its first one: at most a turn too much.
    queue.observe(now - first, times: proposed.count)
    if marks.count < Self.maximumMarks {
      marks.append(
        Mark(ticket: ticket, last: proposed.last, count: proposed.count, handedOver: now))
    }
    firstProposed = nil
    proposed.count = 0
  }

  mutating func didPersist(ticket: UInt64, at now: Instant) {
    while persistedCount < marks.count, marks[persistedCount].ticket <= ticket {
      let mark = marks[persistedCount]
      persist.observe(now - mark.handedOver, times: mark.count)
      persistedCount += 1
    }
  }

  mutating func didCommit(through index: LogIndex, at now: Instant) {
    while committedCount < marks.count, marks[committedCount].last <= index {
      let mark = marks[committedCount]
      replicate.observe(now - mark.handedOver, times: mark.count)
      marks[committedCount].committed = now
      committedCount += 1
    }
  }

  var isWaitingForApply: Bool { committedCount > 0 }

  mutating func didApply(through index: LogIndex, at now: Instant) {
    while committedCount > 0, let mark = marks.first, mark.last <= index {
      apply.observe(now - mark.committed, times: mark.count)
      marks.removeFirst()
      committedCount -= 1
      persistedCount = max(0, persistedCount - 1)
    }
  }

  /// Leadership is over: what was under way is not known any more.
  mutating func abandon() {
    marks.removeAll()
    persistedCount = 0
    committedCount = 0
    firstProposed = nil
    proposed.count = 0
  }
}
