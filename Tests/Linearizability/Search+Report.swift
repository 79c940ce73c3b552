/// The report on a failure: what could be ordered, and what cannot come next.
extension Search {
  private static let column = 48
  private static let shownBefore = 8
  private static let shownAfter = 12

  /// The end of the longest order, then the operations that were next in time; each with a bar from
  /// its call to its return, `>` where that never came.
  func report(key: Int) -> String {
    var state = Register(value: nil)
    for position in longest { state = state.after(operations[position].action) ?? state }
    let before = longest.suffix(Self.shownBefore)
    let taken = Set(longest)
    let after = operations.indices.filter { !taken.contains($0) }
      .sorted { operations[$0].called < operations[$1].called }.prefix(Self.shownAfter)
    let shown = before + after
    let start = shown.map { operations[$0].called }.min() ?? 0
    let end = shown.map { operations[$0].returned ?? operations[$0].called }.max() ?? 0

    var lines = [
      "key \(key) is not linearizable: of \(operations.count) operations \(longest.count) could be "
        + "put in an order, after which the register holds \(Self.text(state.value))."
    ]
    if !before.isEmpty { lines.append("The end of that order:") }
    for position in before { lines.append(line(position, start, end)) }
    lines.append("What should come next, but nothing can:")
    for position in after { lines.append(line(position, start, end)) }
    return lines.joined(separator: "\n")
  }

  private func line(_ position: Int, _ start: UInt64, _ end: UInt64) -> String {
    let operation = operations[position]
    let scale = Double(Self.column - 1) / Double(max(end - start, 1))
    let left = Int(Double(operation.called - start) * scale)
    let right = operation.returned.map { Int(Double($0 - start) * scale) } ?? Self.column - 1
    var bar = Array(repeating: Character(" "), count: Self.column)
    for place in left...right { bar[place] = "-" }
    bar[left] = "|"
    bar[right] = operation.returned == nil ? ">" : "|"
    let label = "  client \(operation.client)  \(Self.text(operation.action))"
    return label + String(repeating: " ", count: max(1, 36 - label.count)) + String(bar[...right])
  }

  private static func text(_ value: UInt64?) -> String { value.map(String.init) ?? "nothing" }

  private static func text(_ action: Invocation.Action) -> String {
    switch action {
    case .get(let value): "get → \(text(value))"
    case .put(let value): "put \(value)"
    case .delete(let found): "delete" + (found.map { $0 ? " → found" : " → none" } ?? "")
    case .compareAndSet(let old, let new, let succeeded):
      "cas \(old) → \(new)" + (succeeded.map { $0 ? "" : ", refused" } ?? "")
    }
  }
}
