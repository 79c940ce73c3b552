import RaftKV

/// Whom a fault meets. Most are chosen when it strikes, because what matters is whom it meets: a
/// leader's pause shows more than anybody's.
package enum Victim: Sendable {
  case host(Int)
  /// Whoever leads in the highest term; the host, if nobody does.
  case leader(orHost: Int)
  /// Not the leader: the n-th of the others.
  case follower(Int)
  /// Whoever did what the fault waited for.
  case subject
  /// Whom that was done to: the one that a message went to.
  case other
}

/// What a fault has waited for, as it happened.
struct Moment {
  var subject: Int
  var other: Int?
}

/// What a fault waits for once its time has come. Rules break at such moments, and chance alone
/// seldom finds them.
package enum Trigger: Int, CaseIterable, Sendable {
  case election, candidacy, deposition, configurationAppended, configurationCommitted, truncation
  case snapshotTaken, snapshotInstalled, snapshotSending, transfer, vote, commit
  /// The last chunk of a snapshot has come.
  case snapshotReceived
  /// A received snapshot was not installed, because the log was faster; but not much.
  case snapshotAhead
}

/// Which wires a partition cuts.
package enum Cut: Sendable {
  case pair(Victim, Victim)
  case oneWay(Victim, Victim)
  case isolated(Victim)
  /// It is heard, and hears nothing.
  case deaf(Victim)
  /// It hears, and is heard by nobody.
  case mute(Victim)
  /// By one bit for each host.
  case halves(UInt64)
  /// Two halves that see each other through one node alone.
  case bridge(UInt64, over: Victim)
  /// Everyone sees its two neighbours, so that each sees another majority.
  case ring
  /// It, and as many others, against the rest.
  case minority(Victim, others: Int)
}

/// One thing that goes wrong, or that an operator does. What lasts ends by itself after its length.
package enum Fault: Sendable {
  case cut(Cut, UInt64)
  case clog(Victim, Victim, UInt64)
  /// Some hosts are clogged one after the other, and freed in another order.
  case swizzle(UInt64, UInt64)
  case slowLink(Victim, Victim, delay: UInt64, UInt64)
  /// The newest message of each kind that ever went to it, but for heartbeats and answers, comes
  /// once more within this time; of a snapshot, all that was sent.
  case echo(Victim, within: UInt64)
  case reset(Victim, Victim)
  case resetAll(Victim)
  /// Their connection ends, and for a while there is no other.
  case hangUp(Victim, Victim, UInt64)
  /// Its process dies, and whoever looks for it until it is back hears late that nobody is there.
  case lateRefusals(Victim, delay: UInt64, downTime: UInt64)
  /// Messages as datagrams are lost and doubled more than usual; in thousandths.
  case storm(loss: Int, duplication: Int, UInt64)
  /// Messages of these kinds, one bit for each, are lost or come late; in thousandths.
  case filter(kinds: UInt64, loss: Int, delay: UInt64, UInt64)
  case pause(Victim, UInt64)
  /// The machine sleeps: it does not run, and nothing reaches it.
  case suspend(Victim, UInt64)
  case kill(Victim, losingPower: Bool, downTime: UInt64)
  case killAll(losingPower: Bool, downTime: UInt64)
  /// The process dies at this many disk accesses from now.
  case crashAtDisk(Victim, accesses: Int, losingPower: Bool, downTime: UInt64)
  case slowDisk(Victim, longest: UInt64, UInt64)
  case hungDisk(Victim, UInt64)
  /// Its next write to the log takes this long, and nothing else does.
  case stuckWrite(Victim, UInt64)
  /// With this much room left.
  case fullDisk(Victim, room: Int, UInt64)
  /// Of a file whose name begins like this.
  case diskError(Victim, DiskAccess, of: String, after: Int)
  case clockRate(Victim, UInt64)
  case wallClockStep(Victim, UInt64)
  /// It is stopped, and comes back with damage on its disk, made from these random bits.
  case rot(Victim, UInt64, downTime: UInt64)
  /// It comes back without anything, and the operator replaces it; at once, without removing it
  /// first, if he has not read the procedure.
  case wipe(Victim, joinsAtOnce: Bool)
  /// It comes back at another address.
  case move(Victim, downTime: UInt64)
  /// The operator removes it, and joins it again after a while, as it is.
  case remove(Victim, awayTime: UInt64)
  /// A clean stop: the leadership first.
  case stop(Victim, downTime: UInt64)
  /// The operator asks for the removal of whoever leads, which begins a hand-over, and asks no
  /// further.
  case transfer
  /// It is asked for so many writes at once.
  case burst(Victim, writes: Int)
  /// It is cut off, and whoever stood still goes on without it.
  case strand(Victim, UInt64)
  /// It is cut off, is asked for so many writes, and its disk is stuck with most of them for a while.
  case forsake(Victim, writes: Int, stuck: UInt64, UInt64)

  /// It touches nothing but wires, and may so strike in the middle of a turn.
  var isOfWires: Bool {
    switch self {
    case .cut, .clog, .slowLink, .storm, .filter, .echo: true
    default: false
    }
  }
}

package struct PlannedFault: Sendable {
  package var time: UInt64
  package var trigger: Trigger?
  /// At the very moment that it waits for, not a little later.
  package var isPrompt = false
  package var fault: Fault
}
