import Testing

/// raftkvd as its users meet it: real processes, real sockets, real disks, and `kill -9`.
///
/// One test at a time: every one of them runs several processes, and machines have few cores. What
/// each of them shows stands in the suites of the other files.
@Suite("raftkvd, as its users meet it", .serialized)
enum DaemonTests {}
