"""Loads: wrk against HTTP, redis-benchmark against Redis, and a pipelined loader for large data sets."""

import json
import re
import socket
import subprocess
from pathlib import Path

from .systems import cpu_seconds, resident_bytes

SCRIPT = Path(__file__).with_name("requests.lua")


def watched(system, run):
    """Runs a load and adds what the server processes spent on it."""
    pids = system.pids
    before = cpu_seconds(pids)
    result = run()
    spent = cpu_seconds(pids) - before
    result["cpu_per_100k"] = spent * 100_000 / max(result["requests"], 1)
    result["rss"] = resident_bytes(pids)
    result["rps"] = result["requests"] / result["seconds"]
    return result


def wrk(system, kind, connections, seconds, keys=100_000, value=128, pipeline=1, level="default",
        port=None):
    def run():
        command = [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "20", "-s", str(SCRIPT),
            f"http://127.0.0.1:{port or system.port}", "--", kind, str(keys), str(value),
            str(pipeline), level]
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 120, check=True).stdout
        found = re.search(r"RESULT (.*)", output)
        if not found:
            raise RuntimeError(f"wrk said: {output}")
        result = json.loads(found.group(1))
        if pipeline > 1:
            # wrk measures from the first request of a batch: not a latency of one request.
            for percentile in ("p50", "p99", "p999"):
                result[percentile] = None
        return result

    return watched(system, run)


def redis_benchmark(system, test, connections, seconds, keys=100_000, value=128):
    def run_for(requests):
        return subprocess.run(
            ["redis-benchmark", "-h", "127.0.0.1", "-p", str(system.port), "-c", str(connections),
             "-n", str(requests), "-r", str(keys), "-d", str(value), "-t", test, "--precision", "3"],
            capture_output=True, text=True, timeout=seconds * 10 + 120, check=True
        ).stdout.replace("\r", "\n")

    def throughput(text):
        return float(re.search(r"throughput summary: ([\d.]+)", text).group(1))

    # It counts requests, not time: a short run tells how many make up the time asked for.
    rate = throughput(run_for(connections * 200 if connections > 1 else 2000))

    def run():
        requests = max(1000, int(rate * seconds))
        text = run_for(requests)
        percentiles = [
            (float(share), float(milliseconds))
            for share, milliseconds in re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds", text)]

        def percentile(wanted):
            return next((ms / 1000 for share, ms in percentiles if share >= wanted), None)

        return {
            "requests": requests, "seconds": requests / throughput(text), "p50": percentile(50),
            "p99": percentile(99), "p999": percentile(99.9), "errors": 0}

    return watched(system, run)


def fill(port, keys, value=128, protocol="http", first=0):
    """Puts `keys` different keys, in pipelined windows over four connections."""
    payload = b"v" * value
    # raftkvd reads at most 64 requests ahead of its answers.
    window = 60 if protocol == "http" else 256
    accepted = b"HTTP/1.1 200" if protocol == "http" else b"+OK\r\n"
    end = b"}" if protocol == "http" else b"+OK\r\n"

    def encode(number):
        if protocol == "http":
            return (b"PUT /key?key=key:%012d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                    % (number, value, payload))
        return b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n" % (number, value, payload)

    connections = [socket.create_connection(("127.0.0.1", port), timeout=120) for _ in range(4)]
    number = first
    while number < first + keys:
        asked = []
        for connection in connections:
            batch = range(number, min(number + window, first + keys))
            number = batch.stop
            connection.sendall(b"".join(map(encode, batch)))
            asked.append(len(batch))
        for connection, count in zip(connections, asked):
            if count == 0:
                continue
            answers = b""
            while answers.count(accepted) < count or not answers.endswith(end):
                more = connection.recv(1 << 16)
                answers += more
                refused = answers.count(b"HTTP/1.1 ") > answers.count(b"HTTP/1.1 200")
                if not more or refused or answers.startswith(b"-"):
                    raise RuntimeError(f"a write was refused: {answers[-300:]!r}")
    for connection in connections:
        connection.close()
