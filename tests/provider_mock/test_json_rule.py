"""One rule for all commands: text for people on a terminal, JSON lines where standard output is piped or with `--json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands import backlog, demo
from im_callback.provider_mock.commands import serve as server
from im_callback.provider_mock.commands.shared import printed

from tests.commands import Run, leaves
from tests.provider_mock.peers import OK, answers, peer
from tests.provider_mock_server.served import served

LOGIN = "commsease.login"
BODY = json.dumps(providers.load("commsease").catalogue[LOGIN].examples[0]).encode()
REFUSED = answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
#: How each command is run: `TO` stands for a receiver, `SERVER` for a running server with the apps `shop` and `empty`.
CASES = {
    "events": ["commsease"],
    "sample": [LOGIN],
    "faults": [],
    "explain": ["rejects-stale"],
    "validate": ["commsease"],
    "sign": ["commsease"],
    "verify": ["commsease"],
    "send": [LOGIN, "--to", "TO"],
    "traffic": ["--to", "TO", "--rate", "20", "--duration", "0.1"],
    "load": ["--to", "TO", "--engine", "--users", "2", "--duration", "1", "--rate", "5"],
    "serve": ["--port", "0"],
    "redeliver": ["--app", "empty", "--server", "SERVER"],
    "backlog show": ["shop", "--server", "SERVER"],
    "backlog release": ["empty", "--server", "SERVER"],
    "demo": [],
}
#: Commands whose text for people is JSON too: what they print is payloads.
PAYLOADS = {"sample"}
#: Commands that the rule does not hold for, and why.
OTHERWISE = {
    "check": "it prints what pytest prints; its result as JSON goes to a file, --json FILE",
    "record": "it goes on until it is ended; tests/provider_mock_record runs it",
    "replay": "it needs a recording; tests/provider_mock_record runs it",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A receiver that takes everything, and a running server."""
    app = {
        "provider": "commsease",
        "endpoint": "http://127.0.0.1:9/cb",
        "policy": "reliable",
        "options": {"retries": 0},
    }
    with peer(OK) as receiver, served(tmp_path_factory.mktemp("server"), script=REFUSED) as running:
        for name in ("shop", "empty"):
            assert running.ask("PUT", f"/apps/{name}", app).ok
        running.settled(running.accept("shop", LOGIN), "parked")
        yield {"TO": receiver.url, "SERVER": running.url}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What takes long and is tested elsewhere: the demo's runs, and a server's life."""
    result = {"verdict": "pass", "exit_status": 0, "acks": {"max_ms": 1.0}}
    check: dict[str, Any] = dict.fromkeys(demo.SHOWN, "") | {"verdict": "fail"}
    monkeypatch.setattr(demo, "_check", lambda *_: ({**result, "checks": [check]}, ""))
    monkeypatch.setattr(server, "catch_signals", lambda: lambda *_: True)
    monkeypatch.setattr(backlog, "_on_terminal", lambda: False)
    monkeypatch.chdir(tmp_path)


def is_json(text: str) -> bool:
    """Return whether there is something, and every line of it is a JSON object."""
    with suppress(ValueError):
        return bool(text) and all(isinstance(json.loads(line), dict) for line in text.splitlines())
    return False


def test_every_command_has_a_case() -> None:
    """A new command gets a case below."""
    assert set(leaves()) - set(OTHERWISE) == set(CASES)


@pytest.mark.parametrize("command", CASES)
@pytest.mark.parametrize("terminal", [False, True], ids=["piped", "terminal"])
@pytest.mark.parametrize("asked", [False, True], ids=["", "json"])
def test_rule(
    run: Run,
    places: dict[str, str],
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    terminal: bool,
    asked: bool,
) -> None:
    """Piped or asked for: JSON lines alone on standard output. On a terminal: text."""
    monkeypatch.setattr(printed, "for_people", lambda as_json: terminal and not as_json)
    words = [places.get(word, word) for word in CASES[command]]
    ran = run(*command.split(), *words, *(["--json"] if asked else []), stdin=BODY)
    people = terminal and not asked
    assert is_json(ran.out) == (not people or command in PAYLOADS), ran.out or ran.err
