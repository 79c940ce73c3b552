import Foundation

/// What happens on the wires, in a thread of its own, until the round's storm is over.
struct Weather: Sendable {
  private enum Kind: CaseIterable {
    case calm, isolated, deaf, dumb, halves, bridge, ring, slow, jitter, clogs, resets
  }

  let network: Network
  let count: Int
  let records: Records

  func start(seed: UInt64) {
    records.clientBegan()
    Thread.detachNewThread {
      var random = Seeded(seed)
      while !records.isOver {
        turn(&random)
        pause(random.between(0.3, 2.5))
        if random.coin(0.5) {
          network.heal()
          pause(random.between(0.1, 1.5))
        }
      }
      network.heal()
      records.clientEnded()
    }
  }

  private func pause(_ seconds: Double) {
    let deadline = Clock.now + UInt64(seconds * 1e9)
    while Clock.now < deadline, !records.isOver { Clock.sleep(0.02) }
  }

  private func turn(_ random: inout Seeded) {
    let kind = Kind.allCases.randomElement(using: &random)!
    var order = Array(0..<count)
    order.shuffle(using: &random)
    let one = order[0]
    var draw = random
    network.change { rules in
      func each(_ body: (Int, Int, inout Network.Rule) -> Void) {
        for source in 0..<count {
          for target in 0..<count where source != target {
            body(source, target, &rules[source][target])
          }
        }
      }
      switch kind {
      case .calm, .resets: break
      case .isolated: each { if $0 == one || $1 == one { $2.isCut = true } }
      // It hears nobody, but all hear it; and the reverse.
      case .deaf: each { if $1 == one { $2.isCut = true } }
      case .dumb: each { if $0 == one { $2.isCut = true } }
      case .halves:
        let half = Set(order.prefix(count / 2))
        each { if half.contains($0) != half.contains($1) { $2.isCut = true } }
      // Two groups that only one node, who hears both, belongs to.
      case .bridge:
        let group = Set(order.dropFirst().prefix((count - 1) / 2))
        each {
          if $0 != one, $1 != one, group.contains($0) != group.contains($1) { $2.isCut = true }
        }
      // Each hears its two neighbours only, so each sees another majority.
      case .ring:
        each {
          let distance = abs(order.firstIndex(of: $0)! - order.firstIndex(of: $1)!)
          if distance != 1, distance != count - 1 { $2.isCut = true }
        }
      case .slow:
        let delay = UInt64(draw.below(120)) * Clock.millisecond
        each { $2.delay = delay }
      case .jitter: each { $2.delay = UInt64(draw.below(80)) * Clock.millisecond }
      case .clogs: each { if draw.coin(0.3) { $2.isCut = true } }
      }
    }
    random = draw
    guard kind == .resets else { return }
    for _ in 0..<random.below(6) + 1 {
      network.reset(order[0], order[1])
      pause(random.between(0.01, 0.3))
      order.shuffle(using: &random)
    }
  }
}
