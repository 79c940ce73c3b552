"""The figures, one function each. Every figure yields rows; rounds are interleaved over the systems, so
that whatever else the machine does meets all of them alike."""

import json
import resource
import signal
import socket
import statistics
import subprocess
import time
from contextlib import ExitStack

from . import load
from .client import Writer, open_idle
from .systems import (
    NATIVE, Absent, Ceiling, Etcd, Nginx, Raftkvd, Redis, fetch, resident_bytes, wait_until)

MEASURES = ("rps", "p50", "p99", "p999", "cpu_per_100k", "rss", "errors")


class Bench:
    def __init__(self, scratch, rounds, seconds, progress):
        self.scratch = scratch
        self.rounds = rounds
        self.seconds = seconds
        self.progress = progress
        self.rows = []
        self.absent = {}

    def enter(self, stack, make, name):
        try:
            return stack.enter_context(make())
        except Absent as reason:
            self.absent[name] = str(reason)
            return None

    def interleave(self, figure, contenders):
        """`contenders`: name → a function that measures one round. Adds the median of each measure."""
        results = {name: [] for name in contenders}
        for turn in range(self.rounds):
            for name, measure in contenders.items():
                self.progress(f"{figure}: round {turn + 1}/{self.rounds}, {name}")
                results[name].append(measure())
        for name, rounds in results.items():
            row = {"figure": figure, "system": name, "rounds": rounds}
            for measure in MEASURES:
                values = [one[measure] for one in rounds if one.get(measure) is not None]
                row[measure] = statistics.median(values) if values else None
            self.rows.append(row)

    def note(self, figure, system, **measures):
        self.rows.append({"figure": figure, "system": system, **measures})


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
        load.fill(raftkvd.port, 100_000)
        response = sample_response(raftkvd.port, "default")
        ceiling = stack.enter_context(Ceiling(bench.scratch, response))
        nginx = bench.enter(stack, lambda: Nginx(bench.scratch, response), "nginx")
        stale_ceiling = stack.enter_context(
            Ceiling(bench.scratch, sample_response(raftkvd.port, "stale")))
        for connections in (64, 256):
            contenders = {}
            for level in ("default", "stale", "consistent"):
                contenders[f"raftkvd {level}"] = lambda level=level: load.wrk(
                    raftkvd, "get", connections, bench.seconds, level=level)
            contenders["ceiling"] = lambda: load.wrk(ceiling, "fixed", connections, bench.seconds)
            contenders["ceiling stale"] = lambda: load.wrk(
                stale_ceiling, "fixed", connections, bench.seconds)
            if nginx:
                contenders["nginx"] = lambda: load.wrk(nginx, "fixed", connections, bench.seconds)
            bench.interleave(f"get, 3 nodes, c={connections}", contenders)
        bench.interleave("get, 3 nodes, c=64, 16 pipelined", {
            "raftkvd default": lambda: load.wrk(
                raftkvd, "get", 64, bench.seconds, pipeline=16),
            "ceiling": lambda: load.wrk(ceiling, "fixed", 64, bench.seconds, pipeline=16)})
    with ExitStack() as stack:
        etcd = bench.enter(stack, lambda: Etcd(bench.scratch, 3), "etcd")
        redis = bench.enter(stack, lambda: Redis(bench.scratch), "redis")
        contenders = {}
        if etcd:
            load.wrk(etcd, "etcd-put", 64, 3)
            contenders["etcd-json"] = lambda: load.wrk(etcd, "etcd-range", 64, bench.seconds)
        if redis:
            load.fill(redis.port, 100_000, protocol="redis")
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


def million(bench, keys=1_000_000):
    """Memory with a million keys, and how long a restart with them takes."""
    memory = {"raftkvd": [], "redis": []}
    restart = {"raftkvd": [], "redis": []}
    for turn in range(bench.rounds):
        bench.progress(f"{keys} keys: round {turn + 1}/{bench.rounds}, raftkvd")
        with Raftkvd(bench.scratch, 1) as raftkvd:
            load.fill(raftkvd.port, keys)
            wait_for_snapshot(raftkvd)
            memory["raftkvd"].append(resident_bytes(raftkvd.pids))
            raftkvd.processes[0].kill()
            raftkvd.processes[0].wait()
            start = time.monotonic()
            raftkvd.restart(0)
            wait_until(
                lambda: fetch(f"http://127.0.0.1:{raftkvd.ports[0]}/key?key=key:000000000001"), 120,
                "the restarted node")
            restart["raftkvd"].append(time.monotonic() - start)
        try:
            with Redis(bench.scratch) as redis:
                bench.progress(f"{keys} keys: round {turn + 1}/{bench.rounds}, redis")
                load.fill(redis.port, keys, protocol="redis")
                memory["redis"].append(resident_bytes(redis.pids))
                redis.processes[0].kill()
                redis.processes[0].wait()
                start = time.monotonic()
                redis.restart()
                wait_until(
                    lambda: redis.ask("GET", "key:000000000001").startswith(b"$"), 120, "redis")
                restart["redis"].append(time.monotonic() - start)
        except Absent as reason:
            bench.absent["redis"] = str(reason)
    for name in memory:
        if memory[name]:
            bench.note(f"{keys} keys, memory", name, rss=statistics.median(memory[name]))
            bench.note(f"{keys} keys, restart to ready", name, p50=statistics.median(restart[name]))


def failover(bench, times=9):
    """kill -9 of the leader, and SIGSTOP, under writes: last success to next success."""
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
                wait_until(lambda: cluster.leader is not None and all(
                    member["lastContactMs"] is not None and member["lastContactMs"] < 200
                    for member in cluster.status(cluster.leader)["members"]
                    if member["id"] != f"node{cluster.leader + 1}"), 30, "a whole cluster")
        bench.note(
            f"leader gone by {kind}", "raftkvd", p50=statistics.median(gaps), rounds=gaps)


def snapshot(bench, keys=1_000_000):
    """Writes while a snapshot of a million keys is taken, against writes without one."""
    with Raftkvd(bench.scratch, 3, ["-snapshot-entries", "100000000"]) as cluster:
        load.fill(cluster.port, keys)
        bench.progress("snapshot: writes without one")
        calm = load.wrk(cluster, "post", 64, bench.seconds, keys=keys)
        bench.note("snapshot of 1 000 000 keys", "without", p99=calm["p99"], rps=calm["rps"])
    with Raftkvd(bench.scratch, 3, ["-snapshot-entries", "1000000"]) as cluster:
        load.fill(cluster.port, keys - 20_000)
        term = cluster.status(0)["term"]
        bench.progress("snapshot: writes across one")
        busy = load.wrk(cluster, "post", 64, bench.seconds, keys=keys)
        wait_for_snapshot(cluster)
        taken = len(list((cluster.directory / "data1").glob("snapshot-*[0-9]")))
        bench.note(
            "snapshot of 1 000 000 keys", "with", p99=busy["p99"], rps=busy["rps"],
            elections=cluster.status(0)["term"] - term, snapshots=taken,
            longest_turn_ms=cluster.longest_turn())


def rejoin(bench, writes=1_000_000):
    """A follower that was down for a million writes comes back under load."""
    with Raftkvd(bench.scratch, 3) as cluster:
        leader = cluster.leader
        down = (leader + 1) % 3
        cluster.processes[down].kill()
        cluster.processes[down].wait()
        bench.progress("rejoin: a million writes without one follower")
        load.fill(cluster.ports[leader], writes)
        term = cluster.status(leader)["term"]
        alone = load.wrk(cluster, "post", 64, bench.seconds)
        cluster.restart(down)
        bench.progress("rejoin: writes while it catches up")
        catching = load.wrk(cluster, "post", 64, bench.seconds)
        wait_until(lambda: cluster.status(down)["appliedIndex"] + 1000
                   >= cluster.status(leader)["appliedIndex"], 120, "the follower")
        bench.note("rejoin after 1 000 000 writes", "two nodes", rps=alone["rps"], p99=alone["p99"])
        bench.note(
            "rejoin after 1 000 000 writes", "while catching up", rps=catching["rps"],
            p99=catching["p99"], elections=cluster.status(leader)["term"] - term)


def idle(bench, count=10_000):
    """Sixty-four active connections beside ten thousand idle ones."""
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with Raftkvd(bench.scratch, 3) as cluster:
        load.fill(cluster.port, 100_000)
        connections = []
        results = {"64 alone": [], f"64 beside {count} idle": []}
        for turn in range(bench.rounds):
            for name in results:
                bench.progress(f"idle connections: round {turn + 1}/{bench.rounds}, {name}")
                if "beside" in name:
                    connections = open_idle(cluster.port, count)
                results[name].append(load.wrk(cluster, "get", 64, min(bench.seconds, 8)))
                for connection in connections:
                    connection.close()
                connections = []
        for name, rounds in results.items():
            bench.note("idle connections", name, rounds=rounds,
                       rps=statistics.median(one["rps"] for one in rounds),
                       p99=statistics.median(one["p99"] for one in rounds))


def values(bench):
    """Bytes per second as values grow, on one node, at most a gibibyte of distinct data."""
    for size in (1 << 10, 16 << 10, 256 << 10, 1 << 20):
        with Raftkvd(bench.scratch, 1) as raftkvd:
            keys = min(100_000, (1 << 29) // size)
            bench.interleave(f"values of {size >> 10} KiB", {
                "raftkvd": lambda: load.wrk(
                    raftkvd, "post", 64, bench.seconds, keys=keys, value=size)})
            bench.rows[-1]["bytes_per_second"] = bench.rows[-1]["rps"] * size


def growth(bench):
    """Curves: keys, nodes, connections."""
    for keys in (10_000, 100_000, 1_000_000, 5_000_000):
        with Raftkvd(bench.scratch, 1) as raftkvd:
            bench.progress(f"growth: filling {keys} keys")
            load.fill(raftkvd.port, keys)
            bench.interleave(f"growth, keys={keys}", {
                "raftkvd": lambda: load.wrk(raftkvd, "post", 64, bench.seconds, keys=keys)})
    for nodes in (1, 3, 5):
        with Raftkvd(bench.scratch, nodes) as raftkvd:
            bench.interleave(f"growth, nodes={nodes}", {
                "raftkvd": lambda: load.wrk(raftkvd, "post", 64, bench.seconds)})
    with Raftkvd(bench.scratch, 3) as raftkvd:
        for connections in (1, 4, 16, 64, 256, 1024, 4096):
            bench.interleave(f"growth, connections={connections}", {
                "raftkvd": lambda: load.wrk(raftkvd, "post", connections, bench.seconds)})


def age(bench, minutes=20):
    """The same load for twenty minutes: does it slow down with age?"""
    with Raftkvd(bench.scratch, 3) as cluster:
        for minute in range(1, minutes + 1):
            bench.progress(f"age: minute {minute}/{minutes}")
            result = load.wrk(cluster, "post", 64, 60)
            bench.note("age", f"minute {minute}", rps=result["rps"], p99=result["p99"])


FIGURES = {
    "disk": disk, "post-single": post_single, "post-three": post_three, "get": reads,
    "million": million, "failover": failover, "snapshot": snapshot, "rejoin": rejoin, "idle": idle,
    "values": values, "growth": growth, "age": age}

