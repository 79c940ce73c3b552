"""What raftkvd is held to, and what was measured: met, or missed by how much.

A target that was not measured says so; a peer that is absent leaves its targets unmeasured.
"""

from dataclasses import dataclass
from typing import Callable

from .figures import VALUE_SIZES

ELECTION_TIMEOUT = 0.3


class Rows:
    """Looks up measures; what is missing makes the target unmeasured."""

    def __init__(self, rows):
        self.found = {(row["figure"], row["system"]): row for row in rows}

    def value(self, figure, system, measure):
        measured = self.found.get((figure, system), {}).get(measure)
        if measured is None:
            raise LookupError(f"{measure} of {system} in '{figure}'")
        return measured

    def ratio(self, measure, one, other):
        below = self.value(*other, measure)
        if below == 0:
            raise LookupError(f"{measure} of {other[1]} in '{other[0]}' is zero")
        return self.value(*one, measure) / below


@dataclass
class Target:
    text: str
    least: bool  # whether the bound is a least one, or a most one
    bound: float
    measure: Callable[[Rows], float]
    unit: str = "x"

    def verdict(self, rows):
        try:
            found = self.measure(rows)
        except LookupError as missing:
            return {"target": self.text, "bound": self.bound, "measured": None,
                    "verdict": f"not measured: no {missing.args[0]}"}
        met = found >= self.bound if self.least else found <= self.bound
        short = self.bound / found if self.least else found / self.bound if self.bound else None
        verdict = "met" if met else "missed" if not short else f"missed by {short - 1:.0%}"
        return {"target": self.text, "least": self.least, "bound": self.bound, "unit": self.unit,
                "measured": found, "verdict": verdict}


def post(nodes, connections):
    return f"post, {nodes} node{'s' * (nodes > 1)}, c={connections}"


def against(measure, figure, ours, theirs):
    return lambda rows: rows.ratio(measure, (figure, ours), (figure, theirs))


def within(measure, one, other):
    return lambda rows: rows.ratio(measure, one, other)


def plain(figure, system, measure, factor=1):
    return lambda rows: rows.value(figure, system, measure) * factor


def targets():
    for connections in (64, 256):
        figure = post(1, connections)
        yield Target(f"POST, 1 node, {connections} connections: requests of etcd's JSON gateway", True,
                     7, against("rps", figure, "raftkvd", "etcd-json"))
        yield Target(f"POST, 1 node, {connections} connections: requests of Redis, AOF always", True,
                     1, against("rps", figure, "raftkvd", "redis-aof-always"))
    yield Target("POST, 1 node, 1 connection: p50 of Redis, AOF always", False, 1,
                 against("p50", post(1, 1), "raftkvd", "redis-aof-always"))
    for connections in (64, 256):
        figure = post(3, connections)
        yield Target(f"POST, 3 nodes, {connections} connections: requests of etcd's JSON gateway",
                     True, 7, against("rps", figure, "raftkvd", "etcd-json"))
    yield Target("POST, 3 nodes, 1 connection: p50 of etcd's JSON gateway", False, 0.35,
                 against("p50", post(3, 1), "raftkvd", "etcd-json"))
    for connections in (64, 256):
        figure = f"get, 3 nodes, c={connections}"
        for level, ceiling in (("default", "ceiling"), ("stale", "ceiling stale")):
            ours = f"raftkvd {level}"
            yield Target(f"GET {level}, {connections} connections: requests of the C server", True,
                         0.85, against("rps", figure, ours, ceiling))
            yield Target(f"GET {level}, {connections} connections: CPU per request of the C server",
                         False, 1.25, against("cpu_per_100k", figure, ours, ceiling))
    yield Target("GET default, 16 pipelined: requests of the C server", True, 0.5,
                 against("rps", "get, 3 nodes, c=64, 16 pipelined", "raftkvd default", "ceiling"))
    yield Target("GET consistent, 64 connections: requests of GET default", True, 0.8,
                 against("rps", "get, 3 nodes, c=64", "raftkvd consistent", "raftkvd default"))
    yield Target("memory after a million keys: of Redis", False, 1.1,
                 against("rss", "a million keys, memory", "raftkvd", "redis"))
    yield Target("restart to ready with a million keys: time of Redis, AOF", False, 1.5,
                 against("p50", "a million keys, restart to ready", "raftkvd", "redis"))
    yield Target("twenty minutes of load: requests of the second minute in the last", True, 0.9,
                 within("rps", ("age", "minute 20"), ("age", "minute 2")))
    yield Target("leader killed: median gap between writes", False, 100,
                 plain("leader gone by kill -9", "raftkvd", "p50", 1e3), "ms")
    yield Target("leader stopped: median gap, in election timeouts", False, 2,
                 plain("leader gone by SIGSTOP", "raftkvd", "p50", 1 / ELECTION_TIMEOUT))
    with_one, without = (("snapshot of a million keys", name) for name in ("with", "without"))
    yield Target("snapshot of a million keys under load: elections", False, 0,
                 plain(*with_one, "elections"), "")
    yield Target("snapshot of a million keys under load: longest turn of the loop, CPU", False, 10,
                 plain(*with_one, "longest_turn_ms"), "ms")
    yield Target("snapshot of a million keys under load: p99 of that without", False, 2,
                 within("p99", with_one, without))
    catching, alone = (
        ("rejoin after a million writes", name) for name in ("while catching up", "two nodes"))
    yield Target("follower back after a million writes: elections", False, 0,
                 plain(*catching, "elections"), "")
    yield Target("follower back after a million writes: requests of those before", True, 0.7,
                 within("rps", catching, alone))
    yield Target("10 000 idle connections beside 64: requests of 64 alone", True, 0.9,
                 within("rps", ("idle connections", "64 beside 10 000 idle"),
                        ("idle connections", "64 alone")))
    sizes = [f"values of {size >> 10} KiB" for size in VALUE_SIZES]
    for smaller, larger in zip(sizes, sizes[1:]):
        yield Target(f"{larger}: bytes per second of {smaller}", True, 1,
                     within("bytes_per_second", (larger, "raftkvd"), (smaller, "raftkvd")))
    yield Target("values of 1 MiB: bytes per second of O_DSYNC writes of 1 MiB to a growing file",
                 True, 0.5, within("bytes_per_second", (sizes[-1], "raftkvd"),
                                   ("O_DSYNC writes", "1 MiB, growing file")))
    yield Target("POST with 5 000 000 keys: requests of 10 000 keys", True, 0.7,
                 within("rps", ("growth, keys=5000000", "raftkvd"),
                        ("growth, keys=10000", "raftkvd")))


def verdicts(rows):
    found = Rows(rows)
    return [target.verdict(found) for target in targets()]
