"""Runs commands as a user would, and keeps what they print."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from random import SystemRandom

from tests.commands import Ran

PROVIDER_MOCK = ("-c", "from im_callback.provider_mock.cli import entry; entry()")
ENOUGH = 300
"""Seconds that a command may take on a busy machine."""
_STARTED: list[subprocess.Popen[str]] = []


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without credentials and Locust's settings, and with what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IM_APP_", "LOCUST_"))}
    return {**kept, **(more or {})}


def start(*arguments: str, more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start Python with these arguments; what is still there after the test is killed."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment(more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _STARTED.append(process)
    return process


def reap() -> None:
    """End what was started."""
    while _STARTED:
        # Whatever became of the test: a process that nobody waits for is a warning in some other test.
        with _STARTED.pop() as process:
            process.kill()


def ended(process: subprocess.Popen[str]) -> Ran:
    """Wait for a process."""
    out, err = process.communicate(timeout=ENOUGH)
    return Ran(process.returncode, out, err)


def load(*arguments: str, more: Mapping[str, str] | None = None) -> Ran:
    """Run `provider-mock load`."""
    return ended(start(*PROVIDER_MOCK, "load", *arguments, more=more))


def quiet_port() -> int:
    """Return a free port below those that systems hand out, so that it is still free when a slow program takes it."""
    dice = SystemRandom()
    while True:
        port = dice.randrange(15000, 30000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
