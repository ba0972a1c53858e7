"""A server that is itself stopped for a while blames no receiver for it, and sends nothing twice."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from im_callback.provider_mock import providers
from im_callback.provider_mock.delivery.ledger import LedgerReader

from tests.provider_mock_server.running import running

DEADLINE = providers.load("tencent").feeds[0].deadline
COUNT = 1000


class Receiver(ThreadingHTTPServer):
    """Answers a little later, and counts what it was sent."""

    request_queue_size = 256

    def __init__(self, *, keeps: bool) -> None:
        self.bodies: Counter[bytes] = Counter()
        lock = threading.Lock()
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keeps else "HTTP/1.0"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    bodies[body] += 1
                time.sleep(0.02)
                answer = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: object) -> None:
        """Keep quiet: a stopped client is what this is about."""


@contextmanager
def receiver(*, keeps: bool) -> Iterator[Receiver]:
    """Run one."""
    with Receiver(keeps=keeps) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            served.shutdown()
            thread.join()


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "closed"])
def test_stopped(keeps: bool, tmp_path: Path) -> None:
    """Stopped in the middle of a thousand deliveries for longer than their deadline: all are acked, each was sent once."""
    database = str(tmp_path / "mock.db")
    with receiver(keeps=keeps) as there, requests.Session() as session:
        session.trust_env = False
        with running("--json", "--database", database) as server:
            url = f"http://127.0.0.1:{there.server_address[1]}/"
            made = {"provider": "tencent", "endpoint": url, "concurrency": 32}
            assert session.put(f"{server.url}/api/v1/apps/im", json=made, timeout=60).ok
            events = {"events": [{"type": "tencent.c2c-after-send"}] * COUNT}
            assert 202 == session.post(f"{server.url}/api/v1/apps/im/events", json=events, timeout=60).status_code
            for share in (4, 2):
                while sum(there.bodies.values()) < COUNT // share:
                    time.sleep(0.001)
                server.process.send_signal(signal.SIGSTOP)
                stopped = time.monotonic()
                while time.monotonic() < stopped + 1.5 * DEADLINE:
                    time.sleep(0.05)
                server.process.send_signal(signal.SIGCONT)
            with LedgerReader(database) as ledger:
                until = time.monotonic() + 120
                while ledger.counts()["waiting"] and time.monotonic() < until:
                    time.sleep(0.05)
            assert 0 == server.end()
        with LedgerReader(database) as ledger:
            outcomes = [[attempt.outcome for attempt in ledger.attempts(delivery)] for delivery in range(1, COUNT + 1)]
        assert [["acked"]] * COUNT == outcomes
        assert COUNT == sum(there.bodies.values())
        assert {1} == set(there.bodies.values())
