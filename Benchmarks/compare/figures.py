"""The figures, one function each. Every figure yields rows; rounds are interleaved over the systems, so
that whatever else the machine does meets all of them alike."""

import datetime
import json
import signal
import socket
import statistics
import subprocess
import time
from contextlib import ExitStack

from . import load
from .client import Writer, close_idle, open_idle
from .systems import (
    NATIVE, Absent, Ceiling, Etcd, Nginx, Raftkvd, Redis, fetch, resident_bytes, wait_until)

MEASURES = (
    "rps", "p50", "p99", "p999", "cpu_per_100k", "rss", "errors", "bytes_per_second")


class Bench:
    """One run: its settings, and the rows it has found so far."""

    def __init__(self, scratch, rounds, seconds, scale, progress):
        self.scratch = scratch
        self.rounds = rounds
        self.seconds = seconds
        self.scale = scale
        self.progress = progress
        self.rows = []
        self.absent = {}

    def scaled(self, count):
        """Of keys, connections, repetitions: fewer where the figures are only tried out."""
        return max(1, round(count * self.scale))

    def enter(self, stack, make, name):
        try:
            return stack.enter_context(make())
        except Absent as reason:
            self.absent[name] = str(reason)
            return None

    def interleave(self, figure, contenders, **more):
        """`contenders`: name → a function that measures one round. Adds the median of each measure."""
        results = {name: [] for name in contenders}
        for turn in range(self.rounds):
            for name, measure in contenders.items():
                self.progress(f"{figure}: round {turn + 1}/{self.rounds}, {name}")
                results[name].append(measure())
        for name, rounds in results.items():
            self.note(figure, name, rounds=rounds, **medians(rounds), **more)

    def note(self, figure, system, **measures):
        at = datetime.datetime.now().isoformat(timespec="seconds")
        self.rows.append({"figure": figure, "system": system, "at": at, **measures})


def medians(rounds):
    found = {}
    for measure in MEASURES:
        values = [one[measure] for one in rounds if one.get(measure) is not None]
        if values:
            found[measure] = statistics.median(values)
    return found


def only_measures(result):
    return {measure: result[measure] for measure in MEASURES if measure in result}


def sample_response(port, level):
    """Exactly what raftkvd sends for one key, so that the ceiling sends as many bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            f"GET /key?key=key:000000000001&level={level} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith(b"v" * 128):
            more = connection.recv(65536)
            if not more:
                raise RuntimeError(f"no value to read: {answer!r}")
            answer += more
    return answer


def posts(bench, nodes):
    """Durable writes, against etcd's JSON gateway and Redis with appendfsync always."""
    with ExitStack() as stack:
        raftkvd = stack.enter_context(Raftkvd(bench.scratch, nodes))
        etcd = bench.enter(stack, lambda: Etcd(bench.scratch, nodes), "etcd")
        redis = bench.enter(stack, lambda: Redis(bench.scratch), "redis") if nodes == 1 else None
        bench.absent["etcd-grpc"] = "etcd's benchmark tool is Go source; no Go toolchain here"
        for connections in (1, 64, 256):
            contenders = {
                "raftkvd": lambda: load.wrk(raftkvd, "post", connections, bench.seconds)}
            if etcd:
                contenders["etcd-json"] = lambda: load.wrk(
                    etcd, "etcd-put", connections, bench.seconds)
            if redis:
                contenders["redis-aof-always"] = lambda: load.redis_benchmark(
                    redis, "set", connections, bench.seconds)
            bench.interleave(f"post, {nodes} node{'s' * (nodes > 1)}, c={connections}", contenders)


def post_single(bench):
    posts(bench, 1)


def post_three(bench):
    posts(bench, 3)


def reads(bench):
    """Reads with three nodes up, against fixed answers of as many bytes with the same nodes idle."""
    with ExitStack() as stack:
        raftkvd = stack.enter_context(Raftkvd(bench.scratch, 3))
        keys = bench.scaled(100_000)
        load.fill(raftkvd.port, keys)
        response = sample_response(raftkvd.port, "default")
        ceiling = stack.enter_context(Ceiling(bench.scratch, response))
        nginx = bench.enter(stack, lambda: Nginx(bench.scratch, response), "nginx")
        stale_ceiling = stack.enter_context(
            Ceiling(bench.scratch, sample_response(raftkvd.port, "stale")))
        for connections in (64, 256):
            contenders = {}
            for level in ("default", "stale", "consistent"):
                contenders[f"raftkvd {level}"] = lambda level=level: load.wrk(
                    raftkvd, "get", connections, bench.seconds, level=level, keys=keys)
            contenders["ceiling"] = lambda: load.wrk(ceiling, "fixed", connections, bench.seconds)
            contenders["ceiling stale"] = lambda: load.wrk(
                stale_ceiling, "fixed", connections, bench.seconds)
            if nginx:
                contenders["nginx"] = lambda: load.wrk(nginx, "fixed", connections, bench.seconds)
            bench.interleave(f"get, 3 nodes, c={connections}", contenders)
        bench.interleave("get, 3 nodes, c=64, 16 pipelined", {
            "raftkvd default": lambda: load.wrk(
                raftkvd, "get", 64, bench.seconds, pipeline=16, keys=keys),
            "ceiling": lambda: load.wrk(ceiling, "fixed", 64, bench.seconds, pipeline=16)})
    with ExitStack() as stack:
        etcd = bench.enter(stack, lambda: Etcd(bench.scratch, 3), "etcd")
        redis = bench.enter(stack, lambda: Redis(bench.scratch), "redis")
        contenders = {}
        if etcd:
            load.wrk(etcd, "etcd-put", 64, min(3, bench.seconds))
            contenders["etcd-json"] = lambda: load.wrk(etcd, "etcd-range", 64, bench.seconds)
        if redis:
            load.fill(redis.port, bench.scaled(100_000), protocol="redis")
            contenders["redis"] = lambda: load.redis_benchmark(redis, "get", 64, bench.seconds)
        bench.interleave("get, peers, c=64", contenders)


def disk(bench):
    """What the disk gives: synchronous writes, one after the other."""
    def write(size, kind):
        return json.loads(subprocess.run(
            [NATIVE / "syncwrite", bench.scratch / "syncwrite", str(size), "3", kind],
            capture_output=True, text=True, timeout=120, check=True).stdout)

    bench.interleave("O_DSYNC writes", {
        "512 bytes, zero-filled file": lambda: write(512, "zeroed"),
        "512 bytes, growing file": lambda: write(512, "growing"),
        "1 MiB, growing file": lambda: write(1 << 20, "growing")})


def wait_for_snapshot(system, node=0, seconds=120):
    """Until a snapshot is there and the node has been idle for a second."""
    directory = system.directory / f"data{node + 1}"
    wait_until(lambda: list(directory.glob("snapshot-*[0-9]")), seconds, "a snapshot")
    last = None

    def is_still():
        nonlocal last
        seen = sorted((file.name, file.stat().st_size) for file in directory.iterdir())
        still, last = seen == last, seen
        time.sleep(1)
        return still

    wait_until(is_still, seconds, "an idle disk")


def million(bench):
    """Memory with a million keys, and how long a restart with them takes."""
    keys = bench.scaled(1_000_000)
    memory = {"raftkvd": [], "redis": []}
    restart = {"raftkvd": [], "redis": []}

    def measure(system, position, protocol, is_ready):
        load.fill(system.port, keys, protocol=protocol)
        if protocol == "http" and bench.scale == 1:
            wait_for_snapshot(system)
        memory[system.name].append(resident_bytes(system.pids))
        system.processes[position].kill()
        system.processes[position].wait()
        start = time.monotonic()
        system.restart(position)
        wait_until(is_ready, 120, f"the restarted {system.name}", every=0.005)
        restart[system.name].append(time.monotonic() - start)

    for turn in range(bench.rounds):
        bench.progress(f"a million keys: round {turn + 1}/{bench.rounds}, raftkvd")
        with Raftkvd(bench.scratch, 1) as raftkvd:
            url = f"http://127.0.0.1:{raftkvd.ports[0]}/key?key=key:000000000001"
            measure(raftkvd, 0, "http", lambda: fetch(url))
        try:
            with Redis(bench.scratch) as redis:
                bench.progress(f"a million keys: round {turn + 1}/{bench.rounds}, redis")
                measure(redis, 0, "redis",
                        lambda: redis.ask("GET", "key:000000000001").startswith(b"$"))
        except Absent as reason:
            bench.absent["redis"] = str(reason)
    for name in memory:
        if memory[name]:
            bench.note("a million keys, memory", name, rss=statistics.median(memory[name]),
                       rounds=memory[name])
            bench.note("a million keys, restart to ready", name, rounds=restart[name],
                       p50=statistics.median(restart[name]))


def failover(bench):
    """kill -9 of the leader, and SIGSTOP, under writes: last success to next success."""
    times = bench.scaled(9)
    for kind, sign in (("kill -9", signal.SIGKILL), ("SIGSTOP", signal.SIGSTOP)):
        gaps = []
        with Raftkvd(bench.scratch, 3) as cluster:
            for turn in range(times):
                bench.progress(f"failover by {kind}: {turn + 1}/{times}")
                gone = set()
                writer = Writer(cluster.ports, avoid=gone)
                writer.start()
                time.sleep(1.5)
                leader = cluster.leader
                moment = time.monotonic()
                cluster.processes[leader].send_signal(sign)
                gone.add(leader)
                gaps.append(writer.gap_after(moment))
                writer.stop()
                if sign == signal.SIGKILL:
                    cluster.processes[leader].wait()
                    cluster.restart(leader)
                else:
                    cluster.processes[leader].send_signal(signal.SIGCONT)
                wait_until(cluster.is_whole, 30, "a whole cluster")
        bench.note(f"leader gone by {kind}", "raftkvd", p50=statistics.median(gaps),
                   longest_ms=max(gaps) * 1e3, rounds=gaps)


def snapshot(bench):
    """Writes while a snapshot of a million keys is taken, against writes without one."""
    keys = bench.scaled(1_000_000)
    figure = "snapshot of a million keys"
    with Raftkvd(bench.scratch, 3, ["-snapshot-entries", "100000000"]) as cluster:
        load.fill(cluster.port, keys)
        bench.progress("snapshot: writes without one")
        calm = load.wrk(cluster, "post", 64, bench.seconds, keys=keys)
        bench.note(figure, "without", **only_measures(calm))
    with Raftkvd(bench.scratch, 3, ["-snapshot-entries", str(keys)]) as cluster:
        load.fill(cluster.port, keys - keys // 50)
        term = cluster.status(0)["term"]
        bench.progress("snapshot: writes across one")
        busy = load.wrk(cluster, "post", 64, bench.seconds, keys=keys)
        longest = max(cluster.longest_turn(node) for node in range(3))
        if bench.scale == 1:
            wait_for_snapshot(cluster)
        taken = len(list((cluster.directory / "data1").glob("snapshot-*[0-9]")))
        bench.note(figure, "with", **only_measures(busy), snapshots=taken, longest_turn_ms=longest,
                   elections=cluster.status(0)["term"] - term)


def rejoin(bench):
    """A follower that was down for a million writes comes back under load."""
    figure = "rejoin after a million writes"
    with Raftkvd(bench.scratch, 3) as cluster:
        leader = cluster.leader
        down = (leader + 1) % 3
        cluster.processes[down].kill()
        cluster.processes[down].wait()
        bench.progress("rejoin: a million writes without one follower")
        load.fill(cluster.ports[leader], bench.scaled(1_000_000))
        term = cluster.status(leader)["term"]
        alone = load.wrk(cluster, "post", 64, bench.seconds)
        cluster.restart(down)
        bench.progress("rejoin: writes while it catches up")
        start = time.monotonic()
        catching = load.wrk(cluster, "post", 64, bench.seconds)
        wait_until(lambda: cluster.status(down)["appliedIndex"] + 1000
                   >= cluster.status(leader)["appliedIndex"], 120, "the follower")
        caught_up = time.monotonic() - start
        bench.note(figure, "two nodes", **only_measures(alone))
        bench.note(figure, "while catching up", **only_measures(catching),
                   caught_up_within_s=caught_up,
                   elections=cluster.status(leader)["term"] - term)


def idle(bench):
    """Sixty-four active connections beside ten thousand idle ones."""
    count = bench.scaled(10_000)
    with Raftkvd(bench.scratch, 3) as cluster:
        keys = bench.scaled(100_000)
        load.fill(cluster.port, keys)

        def beside():
            connections = open_idle(cluster.port, count)
            try:
                return load.wrk(cluster, "get", 64, bench.seconds, keys=keys)
            finally:
                close_idle(connections)

        bench.interleave("idle connections", {
            "64 beside 10 000 idle": beside,
            "64 alone": lambda: load.wrk(cluster, "get", 64, bench.seconds, keys=keys)})


VALUE_SIZES = (1 << 10, 16 << 10, 256 << 10, 1 << 20)


def values(bench):
    """Bytes per second as values grow, on one node, at most half a gibibyte of distinct data.

    Thirty-two connections: a mebibyte from each stays within what a leader takes uncommitted.
    """
    for size in VALUE_SIZES:
        with Raftkvd(bench.scratch, 1) as raftkvd:
            keys = min(bench.scaled(100_000), (1 << 29) // size)
            bench.interleave(f"values of {size >> 10} KiB", {
                "raftkvd": lambda: load.wrk(
                    raftkvd, "post", 32, bench.seconds, keys=keys, value=size)})
            bench.rows[-1]["bytes_per_second"] = bench.rows[-1]["rps"] * size


GROWING_KEYS = (10_000, 100_000, 1_000_000, 5_000_000)
GROWING_NODES = (1, 3, 5)
GROWING_CONNECTIONS = (1, 4, 16, 64, 256, 1024, 4096)


def growth(bench):
    """Curves: keys, nodes, connections."""
    for keys in GROWING_KEYS:
        with Raftkvd(bench.scratch, 1) as raftkvd:
            bench.progress(f"growth: filling {keys} keys")
            count = bench.scaled(keys)
            load.fill(raftkvd.port, count)
            bench.interleave(f"growth, keys={keys}", {
                "raftkvd": lambda: load.wrk(raftkvd, "post", 64, bench.seconds, keys=count)})
    for nodes in GROWING_NODES:
        with Raftkvd(bench.scratch, nodes) as raftkvd:
            bench.interleave(f"growth, nodes={nodes}", {
                "raftkvd": lambda: load.wrk(raftkvd, "post", 64, bench.seconds)})
    with Raftkvd(bench.scratch, 3) as raftkvd:
        for connections in GROWING_CONNECTIONS:
            bench.interleave(f"growth, connections={connections}", {
                "raftkvd": lambda: load.wrk(raftkvd, "post", connections, bench.seconds)})


def age(bench):
    """The same load for twenty minutes: does it slow down with age?"""
    minutes = max(3, bench.scaled(20))
    with Raftkvd(bench.scratch, 3) as cluster:
        for minute in range(1, minutes + 1):
            bench.progress(f"age: minute {minute}/{minutes}")
            result = load.wrk(cluster, "post", 64, max(1, round(60 * bench.scale)))
            bench.note("age", f"minute {minute}", **only_measures(result))


# With how long each takes, in seconds: what is measured, and what it takes to come there.
FIGURES = {
    "disk": (disk, lambda b: 9 * b.rounds + 10),
    "post-single": (post_single, lambda b: 9 * b.rounds * (b.seconds + 0.5) + 10),
    "post-three": (post_three, lambda b: 6 * b.rounds * (b.seconds + 0.5) + 20),
    "get": (reads, lambda b: 16 * b.rounds * (b.seconds + 0.5) + 30),
    "failover": (failover, lambda b: 60),
    "million": (million, lambda b: 30 * b.rounds),
    "rejoin": (rejoin, lambda b: 2 * b.seconds + 40),
    "snapshot": (snapshot, lambda b: 2 * b.seconds + 80),
    "idle": (idle, lambda b: b.rounds * (2 * b.seconds + 3) + 10),
    "values": (values, lambda b: 4 * (b.rounds * (b.seconds + 0.5) + 3)),
    "growth": (growth, lambda b: 14 * b.rounds * (b.seconds + 0.5) + 120),
    "age": (age, lambda b: 1210)}
