import Glibc

/// The thread behind `Network`: accepts, dials on, and carries bytes as the rules allow.
final class Switchboard {
  private let network: Network
  private let alarm: Int32
  private var wires: [Wire] = []
  private var rules: [[Network.Rule]] = []

  init(_ network: Network, _ alarm: Int32) {
    self.network = network
    self.alarm = alarm
  }

  func run() {
    while true {
      let state = network.take()
      rules = state.rules
      for (one, other) in state.resets { reset(one, other) }
      for listener in state.retired { close(listener) }
      if state.isEnding {
        for wire in wires { wire.end() }
        for case let listener? in state.listeners { close(listener) }
        close(alarm)
        return
      }
      turn(state.listeners)
    }
  }

  /// Carries what may go, waits for more, and takes it in.
  private func turn(_ listeners: [Int32?]) {
    let now = Clock.now
    for wire in wires { carry(wire, now) }
    wires.removeAll { $0.isOver }

    var items = [pollfd(fd: alarm, events: Int16(POLLIN), revents: 0)]
    for listener in listeners {
      items.append(pollfd(fd: listener ?? -1, events: Int16(POLLIN), revents: 0))
    }
    var next = now + Clock.second
    for wire in wires {
      let source = wire.source
      let outward = source.map { rules[$0][wire.target] } ?? Network.Rule()
      let inward = source.map { rules[wire.target][$0] } ?? Network.Rule()
      items.append(wire.interest(near: true, writesIf: wire.inward.isDue(inward, now)))
      items.append(wire.interest(near: false, writesIf: wire.outward.isDue(outward, now)))
      next = min(next, wire.outward.nextDue(outward, now), wire.inward.nextDue(inward, now))
    }
    let timeout = next <= now ? 0 : Int32((next - now) / Clock.millisecond) + 1
    _ = poll(&items, nfds_t(items.count), timeout)

    if items[0].revents != 0 {
      var bytes = [UInt8](repeating: 0, count: 256)
      _ = read(alarm, &bytes, bytes.count)
    }
    let first = 1 + listeners.count
    for (place, wire) in wires.enumerated() {
      if items[first + 2 * place].revents != 0 { wire.receive(near: true) }
      if items[first + 2 * place + 1].revents != 0 { wire.receive(near: false) }
    }
    for (node, listener) in listeners.enumerated() where items[1 + node].revents != 0 {
      while let listener, let connection = Sockets.accept(listener) {
        wires.append(Wire(near: connection, target: node))
      }
    }
  }

  private func carry(_ wire: Wire, _ now: UInt64) {
    if wire.source == nil {
      guard let name = wire.senderName() else {
        if !wire.outward.isOpen { wire.end() }
        return
      }
      guard let source = network.places.firstIndex(where: { $0.name == name }) else {
        return wire.end()
      }
      wire.source = source
    }
    guard let source = wire.source else { return }
    let outward = rules[source][wire.target]
    let inward = rules[wire.target][source]
    wire.stamp(outward: now + outward.delay, inward: now + inward.delay)
    if wire.far < 0 {
      // Nobody answers behind a cut, nor is anybody refused.
      guard !outward.isCut, !inward.isCut else { return }
      guard let far = Sockets.connect(to: network.places[wire.target].raftPort) else {
        return wire.end()
      }
      wire.far = far
    }
    wire.carry(outward: outward, inward: inward, now)
  }

  private func reset(_ one: Int, _ other: Int) {
    for wire in wires {
      guard let source = wire.source else { continue }
      let pair = (source, wire.target)
      if pair == (one, other) || pair == (other, one) { wire.end() }
    }
  }
}

/// One connection: near is the node that dialled, far the one that was dialled.
final class Wire {
  let near: Int32
  var far: Int32 = -1
  /// Who dialled, once its hello has come.
  var source: Int?
  let target: Int
  var outward = Pipe()
  var inward = Pipe()
  private(set) var isOver = false

  init(near: Int32, target: Int) {
    self.near = near
    self.target = target
  }

  /// What to wait for. Nothing, not even for a hangup, where it could not be acted on.
  func interest(near isNear: Bool, writesIf writes: Bool) -> pollfd {
    let pipe = isNear ? outward : inward
    var events: Int32 = 0
    if pipe.isOpen, pipe.count < Pipe.capacity { events |= POLLIN }
    if writes, isNear || far >= 0 { events |= POLLOUT }
    let descriptor = isNear ? near : far
    return pollfd(fd: events == 0 ? -1 : descriptor, events: Int16(events), revents: 0)
  }

  func receive(near isNear: Bool) {
    guard !isOver else { return }
    if isNear { outward.receive(from: near) } else if far >= 0 { inward.receive(from: far) }
  }

  func stamp(outward: UInt64, inward: UInt64) {
    self.outward.stamp(outward)
    self.inward.stamp(inward)
  }

  func carry(outward: Network.Rule, inward: Network.Rule, _ now: UInt64) {
    guard !isOver else { return }
    let isOutwardDone = self.outward.carry(to: far, outward, now)
    let isInwardDone = self.inward.carry(to: near, inward, now)
    if isOutwardDone || isInwardDone { end() }
  }

  /// Both sides see a reset; a process that is gone sees nothing.
  func end() {
    guard !isOver else { return }
    isOver = true
    Sockets.reset(near)
    if far >= 0 { Sockets.reset(far) }
  }

  /// The sender's name in the hello that every connection begins with (`Network/Hello.swift`):
  /// behind a frame header of 16 bytes and 64 bytes of numbers, with its length. Nil until it has
  /// come.
  func senderName() -> String? {
    let start = 80
    let bytes = outward.front
    guard bytes.count >= start + 2 else { return nil }
    let length = Int(bytes[start]) | Int(bytes[start + 1]) << 8
    guard bytes.count >= start + 2 + length else { return nil }
    return String(decoding: bytes[(start + 2)..<(start + 2 + length)], as: UTF8.self)
  }
}

/// Bytes on their way in one direction.
struct Pipe {
  /// More is left with the sender's kernel.
  static let capacity = 1 << 20

  private var pieces: [(due: UInt64?, bytes: [UInt8])] = []
  /// Of the first piece, already carried.
  private var offset = 0
  private(set) var count = 0
  /// No end and no error has come from the sender.
  private(set) var isOpen = true

  /// What came so far, while nothing was carried yet.
  var front: [UInt8] { pieces.flatMap(\.bytes) }

  mutating func receive(from descriptor: Int32) {
    guard isOpen, count < Self.capacity else { return }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let received = recv(descriptor, &bytes, bytes.count, 0)
    if received < 0, errno == EAGAIN || errno == EINTR { return }
    guard received > 0 else {
      isOpen = false
      return
    }
    bytes.removeLast(bytes.count - received)
    pieces.append((nil, bytes))
    count += received
  }

  /// Pieces that came since the last call will have arrived by `due`, in their order.
  mutating func stamp(_ due: UInt64) {
    var latest: UInt64 = 0
    for place in pieces.indices {
      latest = max(latest, pieces[place].due ?? due)
      pieces[place].due = latest
    }
  }

  func isDue(_ rule: Network.Rule, _ now: UInt64) -> Bool {
    guard !rule.isCut, let due = pieces.first?.due else { return false }
    return due <= now
  }

  /// When there is something to do by the clock alone.
  func nextDue(_ rule: Network.Rule, _ now: UInt64) -> UInt64 {
    guard !rule.isCut, let due = pieces.first?.due, due > now else { return .max }
    return due
  }

  /// Returns whether the end was reached, and so the other side is to be told.
  mutating func carry(to descriptor: Int32, _ rule: Network.Rule, _ now: UInt64) -> Bool {
    guard !rule.isCut else { return false }
    while isDue(rule, now) {
      let sent = pieces[0].bytes.withUnsafeBytes {
        send(
          descriptor, $0.baseAddress! + offset, $0.count - offset,
          Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if sent < 0 {
        if errno == EAGAIN || errno == EINTR { return false }
        return true
      }
      offset += sent
      count -= sent
      if offset == pieces[0].bytes.count {
        pieces.removeFirst()
        offset = 0
      }
    }
    return !isOpen && pieces.isEmpty
  }
}
