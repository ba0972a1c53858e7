"""`provider-mock serve` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

COMMAND = (sys.executable, "-c", "from im_callback.provider_mock.cli import entry; entry()")
PATIENCE = 120


@dataclass
class Running:
    """A server that has said where it listens. `log` is its standard error, `first` its first line of output."""

    process: subprocess.Popen[bytes]
    first: dict[str, Any]
    stderr: IO[bytes]

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.first["url"])

    @property
    def log(self) -> str:
        """What it has written to standard error so far."""
        self.stderr.seek(0)
        return self.stderr.read().decode()

    def records(self) -> list[dict[str, Any]]:
        """Return its log, line by line."""
        return [json.loads(line) for line in self.log.splitlines()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what the server would read from it, and with more."""
    kept = {name: value for name, value in os.environ.items() if name != "PROVIDER_MOCK_TOKEN"}
    return {**kept, **(more or {})}


@contextmanager
def running(*options: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run a server on a free port; one that is still there afterwards is killed."""
    command = [*COMMAND, "serve", "--port", "0", *options]
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, env=environment(env)
        )
        with process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line:
                    stderr.seek(0)
                    raise AssertionError(f"the server did not start: {stderr.read().decode()}")
                yield Running(process, json.loads(line), stderr)
            finally:
                process.kill()
                process.wait()


def refused(*options: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Return exit status and standard error of a server that does not start."""
    done = subprocess.run(
        [*COMMAND, "serve", "--port", "0", *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(env),
        check=False,
    )
    assert "" == done.stdout
    return done.returncode, done.stderr
