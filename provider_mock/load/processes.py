"""Runs Locust beneath: one process, or a master and its workers on the loopback address, and adds up what they counted."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

from im_callback.provider_mock.contract import NO_SECRET
from im_callback.provider_mock.delivery.tally import Tally
from im_callback.provider_mock.load import Load

LOCUSTFILE = Path(__file__).with_name("headless.py")
LOOPBACK = "127.0.0.1"
FASTEST_SPAWN = 100
"""Users that Locust starts per second at most; it warns of more."""
CONNECTING = 60
"""Seconds within which the workers must find the master."""
GRACE = 5.0
"""Seconds that an interrupted run may take beyond the provider's deadline."""
PAUSE = 0.1


class LocustFailed(RuntimeError):
    """Locust ended before its time."""

    def __init__(self, said: str) -> None:
        super().__init__(f"Locust ended before its time: {said or 'it said nothing'}")


def deliver(load: Load, stop: threading.Event) -> Generator[Tally]:
    """Yield what was counted since the last time, until the run is over or was stopped; raises `LocustFailed`.

    What is under way when it is stopped is waited for. No process is left when this ends.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = _Run(load, Path(folder))
        try:
            yield from run.go(stop)
        finally:
            run.kill()


class _Child:
    """A Locust process: what it says goes to a queue, what it complains about to a file."""

    def __init__(
        self, news: queue.SimpleQueue[tuple[_Child, Any]], load: Load, arguments: list[str], log: Path
    ) -> None:
        self.final = False
        self._log = log
        with log.open("wb") as complaints:
            # A session of its own: Ctrl-C on the terminal is for us, and we pass it on.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--skip-log-setup", *arguments],
                cwd=log.parent,
                env=_environment(load),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout, news), daemon=True)
        self._reader.start()

    def _read(self, said: IO[bytes], news: queue.SimpleQueue[tuple[_Child, Any]]) -> None:
        with said:
            for line in said:
                news.put((self, json.loads(line)))
        news.put((self, None))

    def complaint(self) -> str:
        """Return the last line that the process wrote to standard error."""
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def kill(self) -> None:
        """End the process at once, if it has not ended."""
        self.process.kill()
        self.process.wait()
        self._reader.join()


class _Run:
    def __init__(self, load: Load, folder: Path) -> None:
        self._load = load
        self._folder = folder
        self._news: queue.SimpleQueue[tuple[_Child, Any]] = queue.SimpleQueue()
        self._children: list[_Child] = []

    def go(self, stop: threading.Event) -> Generator[Tally]:
        load = self._load
        leading = [
            *("--only-summary", "--exit-code-on-error", "0"),
            *("--users", str(load.users), "--spawn-rate", str(min(load.users, FASTEST_SPAWN))),
            *("--run-time", str(load.duration)),
        ]
        if load.workers > 1:
            leading += ["--master", "--master-bind-host", LOOPBACK, "--master-bind-port", "0"]
            leading += ["--expect-workers", str(load.workers), "--expect-workers-max-wait", str(CONNECTING)]
        first = self._start(leading)
        running, sending, give_up = 1, False, 0.0
        while running:
            if stop.is_set() and not give_up:
                if not sending:
                    return
                first.process.send_signal(signal.SIGINT)
                give_up = time.monotonic() + max(feed.deadline for feed in load.provider.feeds) + GRACE
            if give_up and time.monotonic() > give_up:
                return
            try:
                child, said = self._news.get(timeout=PAUSE)
            except queue.Empty:
                continue
            if said is None:
                running -= 1
                if not child.final and not give_up:
                    raise LocustFailed(child.complaint())
            elif "port" in said:
                for _ in range(load.workers):
                    self._start(["--worker", "--master-host", LOOPBACK, "--master-port", str(said["port"])])
                    running += 1
            elif "tally" in said:
                tally = Tally.load(said["tally"])
                sending = sending or tally.sent > 0
                yield tally
            elif "error" in said:
                raise LocustFailed(said["error"])
            else:
                child.final = True

    def _start(self, arguments: list[str]) -> _Child:
        load = self._load
        arguments += ["--provider", load.provider.name, "--seed", str(load.seed), "--duplicate", str(load.duplicate)]
        if load.rate is not None:
            arguments += ["--each", repr(load.rate / load.users)]
        child = _Child(self._news, load, arguments, self._folder / f"{len(self._children)}.log")
        self._children.append(child)
        return child

    def kill(self) -> None:
        for child in self._children:
            child.kill()


def _environment(load: Load) -> dict[str, str]:
    """Return our own environment without Locust's settings, and with what must not stand in a list of processes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    secret = load.credentials.app_secret
    return {
        **kept,
        "LOCUST_HOST": load.url,
        "IM_APP_KEY": load.credentials.app_key,
        "IM_APP_SECRET": NO_SECRET if secret is None else secret,
    }
