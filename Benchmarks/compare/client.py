"""A client of a raftkvd cluster that knows every node, for what wrk cannot do: fail over, stay idle."""

import http.client
import json
import socket
import struct
import threading
import time


class Writer(threading.Thread):
    """Writes without pause, over one connection, to whoever leads; notes when each write succeeded.

    A request that got no answer is not repeated as such: each attempt writes a new key.
    """

    def __init__(self, ports, avoid=None, patience=0.25):
        super().__init__(daemon=True)
        self.ports = ports
        self.patience = patience
        self.successes = []
        self.stopping = threading.Event()
        self.target = 0
        # Nodes that are known to be gone: a stopped one would hold each attempt for `patience`.
        self.avoid = avoid if avoid is not None else set()

    def run(self):
        connection, number = None, 0
        while not self.stopping.is_set():
            number += 1
            if self.target in self.avoid:
                self.target, connection = (self.target + 1) % len(self.ports), None
                continue
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(
                        "127.0.0.1", self.ports[self.target], timeout=self.patience)
                    connection.connect()
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.request("PUT", f"/key?key=w{number % 1000}", body=b"v" * 128)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.successes.append(time.monotonic())
                elif answer.status == 307:
                    port = int(json.loads(body)["leader"]["haddr"].rpartition(":")[2])
                    self.target, connection = self.ports.index(port), None
                else:
                    connection = None
                    self.target = (self.target + 1) % len(self.ports)
                    time.sleep(0.002)
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                connection = None
                self.target = (self.target + 1) % len(self.ports)
                time.sleep(0.001)

    def gap_after(self, moment, seconds=20):
        """From the last success before `moment` to the first one after, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            later = [at for at in self.successes[-2000:] if at > moment + 0.0005]
            earlier = [at for at in self.successes if at <= moment + 0.0005]
            if later and earlier:
                return min(later) - max(earlier)
            time.sleep(0.01)
        raise TimeoutError("no write succeeded any more")

    def stop(self):
        self.stopping.set()
        self.join()


def open_idle(port, count):
    """Connections that have asked once and then say nothing."""
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        connections.append(connection)
    for connection in connections:
        connection.recv(4096)
    return connections


def close_idle(connections):
    """By a reset: ten thousand ports that linger would be missed by the next round."""
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
