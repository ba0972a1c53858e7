"""The receiver that every contestant sends to: it only answers 200, and says in the end what it got.

`python -m benchmarks.receiver PORT` is the one in Python, which does as `receiver.go` does; it costs
about three times as much, so it is used where Go is missing.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from im_callback.provider_mock.contract import Request
from im_callback.provider_mock.providers import load

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
SAMPLED, KEPT = 100, 200
HERE = Path(__file__).parent


@dataclass
class Receiver:
    """A receiver that runs: where it listens and, once it has ended, what it got and cost."""

    url: str
    received: int = 0
    distinct: int = 0
    sample: list[bytes] = field(default_factory=list)
    cpu_seconds: float = 0.0

    def check(self, sent: int, over: int = 0) -> None:
        """Raise ValueError unless it got what was sent (`over` more at most), each body once, all well signed."""
        if not sent <= self.received <= sent + over:
            raise ValueError(f"{sent} were sent, the receiver got {self.received}")
        if self.distinct != self.received:
            raise ValueError(f"of {self.received} bodies only {self.distinct} are unlike")
        provider = load("commsease")
        for raw in self.sample:
            if (problem := provider.feeds[0].verify(parsed(raw), provider.defaults, 0)) is not None:
                raise ValueError(f"a request does not verify: {problem}")


def parsed(raw: bytes) -> Request:
    """Return a request as it came over the wire."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Request(first.split()[1], tuple((name, value.strip()) for name, _, value in pairs), body)


def command(folder: Path) -> list[str]:
    """Return how the receiver is started; with Go here, it is built in this folder first."""
    if shutil.which("go") is None:
        return [sys.executable, "-m", "benchmarks.receiver"]
    program = folder / "receiver"
    subprocess.run(["go", "build", "-o", program, HERE / "receiver.go"], check=True)  # noqa: S607
    return [str(program)]


@contextmanager
def running(start: list[str], cores: set[int], port: int = 0) -> Iterator[Receiver]:
    """Run a receiver on these cores, at any port that is free or at this one; afterwards it knows what it got."""
    with subprocess.Popen([*start, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        os.sched_setaffinity(process.pid, cores)
        receiver = Receiver(f"http://127.0.0.1:{int(process.stdout.readline())}/callback")
        try:
            yield receiver
        finally:
            told = json.loads(process.communicate()[0])
    receiver.received, receiver.distinct = told["received"], told["distinct"]
    receiver.sample = [base64.b64decode(one) for one in told["sample"]]
    receiver.cpu_seconds = told["cpu"]


def serve(port: int) -> dict[str, object]:
    """Answer until standard input ends; return what came."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    begun: dict[int, bytes] = {}
    bodies: set[int] = set()
    sample: list[str] = []
    received = 0
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                cpu = time.process_time()
                return {"received": received, "distinct": len(bodies), "cpu": cpu, "sample": sample}
            if number == listener.fileno():
                connection = listener.accept()[0]
                connections[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            connection = connections[number]
            data = _read(connection)
            if not data:
                poll.unregister(number)
                connections.pop(number).close()
                continue
            data = begun.pop(number, b"") + data
            if (head := _whole(data)) is None:
                begun[number] = data
                continue
            received += 1
            bodies.add(hash(data[head:]))
            if received % SAMPLED == 0 and len(sample) < KEPT:
                sample.append(base64.b64encode(data).decode())
            connection.sendall(ANSWER)


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def _whole(data: bytes) -> int | None:
    """Return where the head of a request ends if all of its body is there."""
    end, at = data.find(b"\r\n\r\n"), data.find(b"Content-Length: ")
    if end < 0 or not 0 < at < end:
        return None
    size = int(data[at + len(b"Content-Length: ") : data.index(b"\r", at)])
    return end + 4 if len(data) == end + 4 + size else None


if __name__ == "__main__":
    print(json.dumps(serve(int(sys.argv[1]))))
