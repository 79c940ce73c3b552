import Testing

@testable import RaftKV

@Suite("Commit marks")
struct CommitMarksTests {
  @Test("a node has caught up when it has applied what the first leader it heard had committed")
  func catchUp() {
    var marks = CommitMarks()
    marks.didApply(LogIndex(5), isOfPresentTerm: true, at: at(0))
    #expect(!marks.hasCaughtUp, "no leader has been heard")
    marks.note(LogIndex(10), at: at(0))
    marks.note(LogIndex(99), at: at(1))
    marks.didApply(LogIndex(9), isOfPresentTerm: true, at: at(2))
    #expect(!marks.hasCaughtUp)
    marks.didApply(LogIndex(10), isOfPresentTerm: false, at: at(3))
    #expect(!marks.hasCaughtUp, "more may be committed than this leader knows")
    marks.didApply(LogIndex(11), isOfPresentTerm: true, at: at(4))
    marks.didApply(LogIndex(12), isOfPresentTerm: true, at: at(5))
    #expect(marks.caughtUpAt == at(4))
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

  @Test("what is said after a silence is required at once, and what was said before it stays so")
  func silence() {
    var marks = CommitMarks()
    marks.note(LogIndex(10), at: at(0))
    marks.note(LogIndex(20), at: at(1))
    #expect(marks.required == LogIndex(10))
    marks.mayHaveMissed()
    #expect(marks.isKnown && marks.required == LogIndex(10), "it may be all there is")
    marks.note(LogIndex(9000), at: at(2))
    #expect(marks.required == LogIndex(9000))
    marks.note(LogIndex(9001), at: at(3))
    #expect(marks.required == LogIndex(9000))
  }

  @Test("while a snapshot comes nothing is known, nor whether we have caught up")
  func snapshot() {
    var marks = CommitMarks()
    marks.note(LogIndex(10), at: at(0))
    marks.forget(untilEntries: false)
    marks.didApply(LogIndex(10), isOfPresentTerm: true, at: at(1))
    marks.advance(to: at(500), every: .milliseconds(100))
    #expect(!marks.isKnown && !marks.hasCaughtUp)
    marks.note(LogIndex(30), at: at(600))
    marks.didApply(LogIndex(29), isOfPresentTerm: true, at: at(601))
    #expect(marks.isKnown && !marks.hasCaughtUp)
    marks.forget(untilEntries: false)
    marks.note(LogIndex(20), at: at(700))
    #expect(marks.required == LogIndex(30), "what is committed stays so")
  }

  @Test("who could not take entries learns nothing from a word without any")
  func refused() {
    var marks = CommitMarks()
    marks.note(LogIndex(10), at: at(0))
    marks.forget(untilEntries: true)
    marks.note(LogIndex(10), withEntries: false, at: at(1))
    #expect(!marks.isKnown)
    marks.note(LogIndex(11), at: at(2))
    #expect(marks.isKnown && marks.required == LogIndex(11))
    marks.forget(untilEntries: false)
    marks.note(LogIndex(11), withEntries: false, at: at(3))
    #expect(marks.isKnown)
  }
}
