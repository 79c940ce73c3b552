/// Whether what clients saw at the three read levels is what the README promises: writes and
/// `consistent` reads are linearizable, a `default` read sees all that was answered the lease before,
/// a `stale` read is a past state, and no process goes back.
package struct Judge {
  package let records: [Record]
  /// Nanoseconds by which a `default` read may be old: three quarters of the election timeout.
  package let leaseBound: UInt64

  /// A write that is known to stand in the log, told by its own answer or by a read of its value.
  private struct Version {
    var index: UInt64
    /// Nil: a delete.
    var value: UInt64?
    var called: UInt64
    var returned: UInt64?
  }

  /// By key, by index.
  private var versions: [Int: [Version]] = [:]
  /// By key: calls of deletes whose index nobody learned.
  private var unknownDeletes: [Int: [UInt64]] = [:]
  package private(set) var violations: [String] = []

  package init(_ records: [Record], leaseBound: UInt64) {
    self.records = records
    self.leaseBound = leaseBound
  }

  package mutating func run() {
    checkValues()
    collectVersions()
    checkOrder()
    checkLinearizability()
    for record in records {
      if case .get(let level) = record.kind {
        switch level {
        case .consistent: checkFreshness(record, by: 0)
        case .byLease: checkFreshness(record, by: leaseBound)
        case .stale: checkPast(record)
        }
      }
    }
    checkStaleOrder()
  }

  private mutating func fail(_ text: String, _ record: Record? = nil) {
    violations.append(text + (record.map { ": \($0)" } ?? ""))
  }

  // MARK: Values and indexes

  /// Nobody reads what was not put, nor before it was, and one write has one index.
  private mutating func checkValues() {
    var puts: [UInt64: Record] = [:]
    var indexes: [UInt64: UInt64] = [:]
    for record in records {
      guard case .put(let value) = record.kind else { continue }
      puts[value] = record
      indexes[value] = record.index
    }
    for record in records {
      guard case .get = record.kind, let value = record.value else { continue }
      guard let put = puts[value], put.key == record.key else {
        fail("a value that was never put there, or whose put was refused", record)
        continue
      }
      if let returned = record.returned, returned < put.called {
        fail("a value was read before it was put", record)
      }
      if let known = indexes[value], known != record.index {
        fail("value \(value) of index \(known) was read with another index", record)
      }
      indexes[value] = record.index
    }
  }

  private mutating func collectVersions() {
    var indexes: [UInt64: UInt64] = [:]
    for record in records {
      if case .get = record.kind, let value = record.value { indexes[value] = record.index }
    }
    for record in records {
      switch record.kind {
      case .put(let value):
        guard let index = record.index ?? indexes[value] else { continue }
        versions[record.key, default: []].append(
          Version(index: index, value: value, called: record.called, returned: record.returned))
      case .delete:
        if let index = record.index {
          versions[record.key, default: []].append(
            Version(index: index, value: nil, called: record.called, returned: record.returned))
        } else {
          unknownDeletes[record.key, default: []].append(record.called)
        }
      case .get: continue
      }
    }
    for key in versions.keys { versions[key]!.sort { $0.index < $1.index } }
  }

  /// The log is one for all: a write that was answered before another began has the smaller index.
  private mutating func checkOrder() {
    let writes = records.filter { $0.index != nil && $0.returned != nil && $0.isWrite }
    let byCall = writes.sorted { $0.called < $1.called }
    let byReturn = writes.sorted { $0.returned! < $1.returned! }
    var place = 0
    var highest: UInt64 = 0
    for record in byCall {
      while place < byReturn.count, byReturn[place].returned! < record.called {
        highest = max(highest, byReturn[place].index!)
        place += 1
      }
      if record.index! <= highest { fail("index \(highest) was answered before", record) }
    }
  }

  private mutating func checkLinearizability() {
    let history = records.compactMap { record -> Invocation? in
      let action: Invocation.Action
      switch record.kind {
      case .put(let value): action = .put(value)
      case .delete: action = .delete(found: record.returned == nil ? nil : record.found)
      case .get(.consistent): action = .get(record.value)
      case .get: return nil
      }
      return Invocation(
        client: record.client, key: record.key, action, called: record.called,
        returned: record.returned)
    }
    switch Linearizability.check(history) {
    case .linearizable: return
    case .violated(let report), .unknown(let report): fail(report)
    }
  }

  // MARK: Single reads

  /// A read sees every write that was answered `bound` before its call.
  private mutating func checkFreshness(_ record: Record, by bound: UInt64) {
    let versions = versions[record.key] ?? []
    let limit = record.called - min(bound, record.called)
    guard
      let newest = versions.last(where: { $0.returned.map { $0 < limit } ?? false })
    else { return }
    if let index = record.index {
      if index < newest.index { fail("index \(newest.index) was answered before", record) }
    } else if newest.value != nil {
      // Nothing there: then it was deleted behind that write.
      let isDeleted = versions.contains {
        $0.index > newest.index && $0.value == nil && $0.called <= record.returned!
      }
      if !isDeleted, !mayBeDeleted(record) {
        fail("nothing, but index \(newest.index) was answered before", record)
      }
    }
  }

  private func mayBeDeleted(_ record: Record) -> Bool {
    unknownDeletes[record.key]?.contains { $0 <= record.returned! } ?? false
  }

  /// A stale read is what the key held after the entry that the answer names.
  private mutating func checkPast(_ record: Record) {
    guard let applied = record.applied else { return fail("no applied index", record) }
    let last = versions[record.key]?.last { $0.index <= applied }
    if let index = record.index {
      if index > applied { fail("a value from beyond the applied index", record) }
      if let last, last.index > index {
        fail("index \(last.index) is applied, too", record)
      }
    } else if let last, last.value != nil, !mayBeDeleted(record) {
      fail("nothing, but index \(last.index) is applied", record)
    }
  }

  /// One process never goes back.
  private mutating func checkStaleOrder() {
    var byLife: [[Int]: [Record]] = [:]
    for record in records {
      guard case .get(.stale) = record.kind, let life = record.life, record.applied != nil else {
        continue
      }
      byLife[[record.node, life], default: []].append(record)
    }
    for reads in byLife.values {
      let byReturn = reads.sorted { $0.returned! < $1.returned! }
      var place = 0
      var highest: UInt64 = 0
      for record in reads.sorted(by: { $0.called < $1.called }) {
        while place < byReturn.count, byReturn[place].returned! < record.called {
          highest = max(highest, byReturn[place].applied!)
          place += 1
        }
        if record.applied! < highest {
          fail("the same process had applied \(highest) before", record)
        }
      }
    }
  }
}
