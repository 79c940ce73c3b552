import RaftKV

/// So long after the beginning of a test's time.
func at(_ milliseconds: Int) -> Instant { .zero + .milliseconds(milliseconds) }
