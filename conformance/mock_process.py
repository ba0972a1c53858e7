"""Starts `provider-mock serve` as a process of its own, and stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from im_callback.provider_mock.client import MockServer

LANDING_SECONDS = 20.0
"""How long the server may take to let its last deliveries land."""


class NotStarted(RuntimeError):
    """The server did not start; the message is its own."""


@contextmanager
def server(folder: Path) -> Iterator[MockServer]:
    """Run a server on a free port of this machine, with its database and its log in a folder; raises NotStarted."""
    command = [sys.executable, "-m", "im_callback.provider_mock", "serve", "--port", "0", "--json"]
    # Only programs of this machine are answered; a token of the surroundings is for another server.
    surroundings = {name: value for name, value in os.environ.items() if name != "PROVIDER_MOCK_TOKEN"}
    log = folder / "log.jsonl"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*command, "--database", str(folder / "mock.db")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=surroundings,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise NotStarted(log.read_text(encoding="utf-8").strip() or "the mock did not start")
            client = MockServer(json.loads(line)["url"])
            try:
                yield client
            finally:
                client.close()
        finally:
            process.terminate()
            try:
                process.wait(LANDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
