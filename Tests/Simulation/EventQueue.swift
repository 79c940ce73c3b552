/// What happens next: a binary heap ordered by time, and among equal times by the order in which
/// the events were scheduled, so that the same seed always gives the same run.
struct EventQueue<Event> {
  /// Small and plain, so that sifting moves sixteen bytes and counts no references.
  private struct Key {
    var time: UInt64
    /// Sequence number above, slot below: 40 and 24 bits.
    var order: UInt64

    static func < (left: Key, right: Key) -> Bool {
      left.time != right.time ? left.time < right.time : left.order < right.order
    }
  }

  private static var slotBits: UInt64 { 24 }

  private var heap: [Key] = []
  private var events: [Event?] = []
  private var freeSlots: [Int] = []
  private var sequence: UInt64 = 0

  var count: Int { heap.count }
  var nextTime: UInt64? { heap.first?.time }

  mutating func schedule(_ event: Event, at time: UInt64) {
    let slot: Int
    if let free = freeSlots.popLast() {
      slot = free
      events[slot] = event
    } else {
      slot = events.count
      events.append(event)
      precondition(slot < 1 << Self.slotBits, "events are handled faster than they are made")
    }
    sequence += 1
    heap.append(Key(time: time, order: sequence << Self.slotBits | UInt64(slot)))
    heap.withUnsafeMutableBufferPointer { Self.siftUp(&$0) }
  }

  mutating func popNext() -> (time: UInt64, event: Event)? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      heap.withUnsafeMutableBufferPointer { Self.siftDown(&$0) }
    }
    let slot = Int(first.order & (1 << Self.slotBits - 1))
    guard let event = events[slot] else { preconditionFailure("a scheduled event has its slot") }
    events[slot] = nil
    freeSlots.append(slot)
    return (first.time, event)
  }

  // In place, for these two are the innermost loops of a simulation.

  private static func siftUp(_ heap: inout UnsafeMutableBufferPointer<Key>) {
    var child = heap.count - 1
    let key = heap[child]
    while child > 0 {
      let parent = (child - 1) / 2
      guard key < heap[parent] else { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = key
  }

  private static func siftDown(_ heap: inout UnsafeMutableBufferPointer<Key>) {
    var parent = 0
    let key = heap[0]
    while true {
      var child = 2 * parent + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < key else { break }
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = key
  }
}
