/// The configurations of the log, oldest first: what a truncation returns to (D3), and what a
/// snapshot at some index must carry.
package struct ConfigurationHistory: Equatable, Sendable {
  package struct Item: Equatable, Sendable {
    /// The index of the entry; zero for "before any".
    package var index: LogIndex
    package var configuration: Configuration
    package init(index: LogIndex, configuration: Configuration) {
      self.index = index
      self.configuration = configuration
    }
  }

  /// Never empty; indexes rise. The first is in force at the log's base, wherever it was written.
  private var items: [Item]

  package init(base: Item = Item(index: .zero, configuration: .empty)) { items = [base] }

  /// In force now: the newest in the log, committed or not (D2, D4).
  package var current: Configuration { items[items.count - 1].configuration }
  package var currentIndex: LogIndex { items[items.count - 1].index }
  package var previous: Configuration? {
    items.count > 1 ? items[items.count - 2].configuration : nil
  }
  package var previousIndex: LogIndex? { items.count > 1 ? items[items.count - 2].index : nil }

  /// The configuration in force at `index`.
  package func item(at index: LogIndex) -> Item {
    items.last { $0.index <= index } ?? items[0]
  }

  package mutating func append(_ configuration: Configuration, at index: LogIndex) {
    precondition(index > currentIndex, "configurations come in log order")
    items.append(Item(index: index, configuration: configuration))
  }

  /// Returns whether the configuration in force changed.
  package mutating func truncate(after index: LogIndex) -> Bool {
    let count = items.count
    while items.count > 1, currentIndex > index { items.removeLast() }
    precondition(currentIndex <= index, "the configuration at the log's base cannot be truncated")
    return items.count != count
  }

  package mutating func compact(through index: LogIndex) {
    while items.count > 1, items[1].index <= index { items.removeFirst() }
  }
}
