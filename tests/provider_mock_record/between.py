"""A recording proxy in front of a server, and `provider-mock record` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.recording.exchange import Exchange
from im_callback.provider_mock.recording.proxy import Proxy

SECONDS = 60
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("IM_APP_", "PROVIDER_MOCK_"))}


@dataclass
class Between:
    """Where the proxy listens, and what it has told."""

    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """Where the provider posts to."""
        return f"http://127.0.0.1:{self.port}/cb"

    def told(self, exchange: Exchange) -> None:
        """Take an exchange."""
        with self.changed:
            self.exchanges.append(exchange)
            self.changed.notify_all()

    def wait_for(self, count: int) -> list[Exchange]:
        """Return the exchanges once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.exchanges) >= count, timeout=SECONDS)
            return list(self.exchanges)


@contextmanager
def between(target: str, context: ssl.SSLContext | None = None) -> Iterator[Between]:
    """Run a proxy in a thread until the block ends."""
    here = Between()
    listening = threading.Event()
    stop: list[Any] = []

    async def run() -> None:
        over = asyncio.Event()
        stop.extend((asyncio.get_running_loop(), over))
        proxy = Proxy(target, here.told, utc_millis, context)
        here.port = proxy.listen("127.0.0.1", 0)
        listening.set()
        await over.wait()
        await proxy.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert listening.wait(SECONDS)
    try:
        yield here
    finally:
        loop, over = stop
        loop.call_soon_threadsafe(over.set)
        thread.join()


@dataclass
class Recording:
    """The command while it runs: its address; and once it has ended, its status and what it printed."""

    url: str
    process: subprocess.Popen[str]
    status: int | None = None
    lines: list[Any] = field(default_factory=list)
    err: str = ""

    def end(self, number: signal.Signals = signal.SIGINT) -> Recording:
        """End it by a signal."""
        self.process.send_signal(number)
        out, self.err = self.process.communicate(timeout=SECONDS)
        self.status = self.process.returncode
        self.lines = [json.loads(line) for line in out.splitlines()]
        return self

    @property
    def summary(self) -> Any:
        """The last line."""
        return self.lines[-1]


@contextmanager
def recording(target: str, file: Path, *options: str) -> Iterator[Recording]:
    """Run `provider-mock record` on a free port until the block ends."""
    command = [sys.executable, "-m", "im_callback.provider_mock", "record", "--listen", "0", "--to", target]
    command += ["--out", str(file), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            assert first, process.stderr and process.stderr.read()
            yield Recording(json.loads(first)["url"], process)
        finally:
            process.kill()


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Return what a recording holds."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
