import DequeModule

/// Clients that wait for an entry of ours to be applied, in log order: found by position, so
/// nothing is allocated or hashed per request.
struct PendingReplies {
  struct Item {
    var index: LogIndex
    /// The entry must still be ours when it is applied: another leader may
    /// have put one in its place.
    var term: Term
    var token: RequestToken
    /// After this the client is told that the outcome is unknown.
    var deadline: Instant
  }

  /// Indexes and deadlines rise.
  private var items: Deque<Item> = []

  var count: Int { items.count }
  var isEmpty: Bool { items.isEmpty }
  var nextDeadline: Instant? { items.first?.deadline }

  mutating func append(_ item: Item) {
    precondition(items.last.map { $0.index < item.index } ?? true, "proposals come in log order")
    items.append(item)
  }

  /// Takes out whoever waits for the entry at `index`. Those before it are gone already:
  /// entries are applied in order.
  mutating func remove(at index: LogIndex) -> Item? {
    guard let first = items.first, first.index <= index else { return nil }
    precondition(first.index == index, "an applied entry left its client waiting")
    return items.removeFirst()
  }

  mutating func removeFirst(ifDueAt now: Instant) -> Item? {
    guard let first = items.first, first.deadline <= now else { return nil }
    return items.removeFirst()
  }

  mutating func removeAll() -> Deque<Item> {
    defer { items = [] }
    return items
  }
}

/// Reads that wait for leadership to be confirmed, in order of arrival. Their keys lie one behind
/// the other in one buffer: nothing is allocated per read.
struct PendingReads: ~Copyable {
  struct Item {
    /// The engine's ticket; it is confirmed in order.
    var ticket: UInt64
    var token: RequestToken
    /// After this it is given up.
    var deadline: Instant
    var keyCount: Int
  }

  private var items: Deque<Item> = []
  private var keys = ByteBuffer(capacity: 4096)
  /// Tickets up to here are confirmed, and may be answered once `readIndex` is applied.
  private var confirmed: (through: UInt64, readIndex: LogIndex) = (0, .zero)

  var count: Int { items.count }
  var isEmpty: Bool { items.isEmpty }
  var keyBytes: Int { keys.count }
  var nextDeadline: Instant? { items.first?.deadline }

  func isDue(at now: Instant) -> Bool { items.first.map { $0.deadline <= now } ?? false }

  mutating func append(
    ticket: UInt64, token: RequestToken, deadline: Instant, key: UnsafeRawBufferPointer
  ) {
    items.append(Item(ticket: ticket, token: token, deadline: deadline, keyCount: key.count))
    keys.append(key)
  }

  mutating func confirm(_ reads: ConfirmedReads) {
    confirmed = (reads.through, reads.index)
  }

  /// Whether the oldest read may be answered from state that has applied `appliedIndex`.
  func isReady(appliedIndex: LogIndex) -> Bool {
    guard let first = items.first else { return false }
    guard first.ticket <= confirmed.through else { return false }
    if appliedIndex < confirmed.readIndex { CoverageMark.hit(.readWaitsForApply) }
    #if PLANTED_BUGS
    if appliedIndex < confirmed.readIndex, PlantedBug.readBeforeApply.isActive { return true }
    #endif
    return appliedIndex >= confirmed.readIndex
  }

  /// Takes out the oldest read. Its key is borrowed: valid during `body`.
  mutating func removeFirst(_ body: (RequestToken, UnsafeRawBufferPointer) -> Void) {
    let item = items.removeFirst()
    body(item.token, UnsafeRawBufferPointer(rebasing: keys.readable[..<item.keyCount]))
    keys.consume(item.keyCount)
  }

  /// Leadership is lost: tickets die with it (C2).
  mutating func removeAll(_ body: (RequestToken) -> Void) {
    for item in items { body(item.token) }
    items.removeAll(keepingCapacity: true)
    keys.clear()
    #if PLANTED_BUGS
    if confirmed.through > 0, PlantedBug.ticketsOutliveTerm.isActive { return }
    #endif
    confirmed = (0, .zero)
  }
}
