/// The state machine: applies committed entries, in order, to the map.
package final class KeyValueStore {
  package private(set) var state: KeyValueState
  /// Fingerprints since this node started or loaded a snapshot.
  package private(set) var history: StateHashHistory
  private var observer: ((Change) -> Void)?

  package init(
    _ state: KeyValueState = KeyValueState(),
    hashInterval: UInt64 = StateHashHistory.defaultInterval
  ) {
    self.state = state
    history = StateHashHistory(interval: hashInterval)
  }

  package var appliedIndex: LogIndex { state.appliedIndex }
  package var clock: UInt64 { state.clock }
  package var stateHash: StateHash { state.stateHash }
  package var count: Int { state.map.count }
  /// Bytes of all keys and values.
  package var bytes: Int { state.map.bytes }
  package var tombstones: Tombstones { state.tombstones }

  package func find(_ key: UnsafeRawBufferPointer) -> Entry? { state.map.find(key) }

  /// Names the one who hears of every change, once, when the server is put together.
  package func observe(_ observer: @escaping (Change) -> Void) {
    precondition(self.observer == nil, "there is one observer, set once")
    self.observer = observer
  }

  /// Applies the command in `payload`, the entry at `index`. When it throws, nothing has changed.
  package func apply(
    payload: UnsafeRawBufferPointer, at index: LogIndex
  ) throws(ApplyError) -> ApplyResult {
    precondition(index > state.appliedIndex, "entries are applied once, in order")
    let command = try Command(decoding: payload)
    state.appliedIndex = index  // first: the observer may ask (B17)
    if command.clock < state.clock { CoverageMark.hit(.clockBehind) }
    #if PLANTED_BUGS
    if command.clock < state.clock, PlantedBug.clockFollowsProposer.isActive { state.clock = 0 }
    #endif
    state.clock = max(state.clock, command.clock)
    let result: ApplyResult
    switch command.kind {
    case .put:
      put(command.key, command.value, at: index)
      result = .written
    case .delete:
      result = .deleted(existed: delete(command.key, at: index))
    }
    history.record(state.stateHash, at: index)
    return result
  }

  /// Passes over an entry that does not concern the map: a no-op or a configuration.
  package func advance(to index: LogIndex) {
    precondition(index > state.appliedIndex, "entries are applied once, in order")
    state.appliedIndex = index
    history.record(state.stateHash, at: index)
  }

  /// The state as of now, frozen, in O(1). Give its map to a `Dismantler` when done with it.
  package func snapshot() -> KeyValueState { state }

  /// Replaces everything by a loaded snapshot's state; the old map is released in slices.
  package func install(_ state: KeyValueState, releasing dismantler: inout Dismantler) {
    precondition(state.appliedIndex >= appliedIndex, "an installed state is never older")
    dismantler.take(self.state.map)
    self.state = state
    #if PLANTED_BUGS
    if state.tombstones.count > 0, PlantedBug.tombstonesNotInstalled.isActive {
      self.state.tombstones = Tombstones(horizon: state.tombstones.horizon)
    }
    #endif
    history = StateHashHistory(interval: history.interval)
  }

  private func put(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, at index: LogIndex
  ) {
    let old = state.map.find(key)
    let entry = Entry(
      key: key, value: value, createIndex: old?.createIndex ?? index, modifyIndex: index)
    if let old { state.stateHash.remove(old) }
    state.stateHash.insert(entry)
    state.map.insert(entry)
    observer?(Change(key: key, old: old, new: entry, index: index))
  }

  private func delete(_ key: UnsafeRawBufferPointer, at index: LogIndex) -> Bool {
    guard let old = state.map.remove(key) else { return false }
    state.stateHash.remove(old)
    state.tombstones.append(key: key, at: index)
    observer?(Change(key: key, old: old, new: nil, index: index))
    return true
  }
}

/// What a command did.
package enum ApplyResult: Equatable, Sendable {
  case written
  case deleted(existed: Bool)
}

/// One key's change, as the observer hears of it during `apply`.
package struct Change {
  /// Borrowed for the call.
  package let key: UnsafeRawBufferPointer
  package let old: Entry?
  /// Nil after a delete.
  package let new: Entry?
  package let index: LogIndex
}
