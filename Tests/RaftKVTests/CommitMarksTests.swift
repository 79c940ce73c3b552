import Testing

@testable import RaftKV

@Suite("Commit marks")
struct CommitMarksTests {
  @Test("a node has caught up when it has applied what the first leader it heard had committed")
  func catchUp() {
    var marks = CommitMarks()
    marks.didApply(LogIndex(5), at: at(0))
    #expect(!marks.hasCaughtUp, "no leader has been heard")
    marks.note(LogIndex(10), at: at(0))
    marks.note(LogIndex(99), at: at(1))
    marks.didApply(LogIndex(9), at: at(2))
    #expect(!marks.hasCaughtUp)
    marks.didApply(LogIndex(10), at: at(3))
    marks.didApply(LogIndex(11), at: at(4))
    #expect(marks.caughtUpAt == at(3))
    #expect(marks.required == LogIndex(10) && marks.newest == LogIndex(99))
  }

  @Test("what is required was committed one to two intervals ago")
  func lag() {
    var marks = CommitMarks()
    let interval = Interval.milliseconds(100)
    for step in 0...100 {
      marks.note(LogIndex(UInt64(step)), at: at(step * 10))
      marks.advance(to: at(step * 10), every: interval)
      let age = step - Int(marks.required.rawValue)
      #expect(step < 20 ? age <= 20 : (10...20).contains(age), "\(step): \(marks.required)")
    }
    // Silence does not make a node that lags any less late.
    marks.advance(to: at(1100), every: interval)
    marks.advance(to: at(1200), every: interval)
    #expect(marks.required == LogIndex(100))
  }
}
