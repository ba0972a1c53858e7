"""Schemathesis, unmodified, finds nothing: what the document says is what the server does.

It lives in a folder of its own beside the environment's packages, because as an installed package it would be
loaded by every pytest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from im_callback.provider_mock.server import verifying

from tests.provider_mock.peers import OK
from tests.provider_mock_server.served import TOKEN, served

pytestmark = pytest.mark.long

TOOL = Path(sys.prefix) / "schemathesis"
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "6")
CONFIG = """
[phases.fuzzing.extra-data-sources]
responses = false
"""
"""The last release for Python 3.10 calls valid what other answers hold under the same name, such as null for a number."""
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
APPS = {"staging": ("commsease", "commsease.login"), "rooms": ("rongcloud", "rongcloud.chatroom-kv")}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for deliveries that made-up expectations never find."""
    monkeypatch.setattr(verifying, "LONGEST_WAIT", 0.05)


@pytest.mark.parametrize("token", [None, TOKEN], ids=["open", "token"])
def test_nothing_found(tmp_path: Path, token: str | None) -> None:
    """All its checks, all phases: no 5xx, no undocumented status, nothing accepted or refused against the document."""
    assert TOOL.is_dir(), f"{TOOL} is missing; `make test` installs it"
    if sys.version_info < (3, 11):
        (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with served(tmp_path / "server", token=token, script=OK) as server:
        for name, (provider, event_type) in APPS.items():
            server.ask("PUT", f"/apps/{name}", {"provider": provider, "endpoint": "http://127.0.0.1:9/cb"})
            server.accept(name, event_type, event_type)
        server.accept("staging", "commsease.login", faults=["duplicate:times=2"])
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                # How fast this machine is does not matter.
                *("--max-examples", EXAMPLES, "--seed", SEED, "--no-color", "--request-timeout", "60"),
                *(("-H", f"Authorization: Bearer {token}") if token else ()),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TOOL), "PYTHONSAFEPATH": "1", "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
    made = re.search(r"(\d+) generated", done.stdout)
    assert made is not None, done.stdout
    assert 500 < int(made[1])
