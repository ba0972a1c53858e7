"""An event type is one more file: a copy of the project with that file, and nothing else, judges receivers by it."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer, serving
from tests.plugin.processes import pytest_in

ROOT = Path(__file__).parents[2]
SAMPLE = {"eventType": "777", "accid": "zhangsan", "mood": "cheerful", "since": {"at": "1608110108512"}}
SCHEMA: dict[str, Any] = {
    "$schema": "https://im-callback-conformance.dev/dialect",
    "$id": "https://im-callback-conformance.dev/commsease/mood",
    "title": "Mood",
    "description": "Somebody feels otherwise.",
    "x-event-type": "commsease.mood",
    "x-feed": "data-sync",
    "x-code": "777",
    "x-status": "documented",
    "x-source": [{"document": "A page", "section": "A section"}],
    "x-detect": {"type": "object", "required": ["eventType"], "properties": {"eventType": {"const": "777"}}},
    "x-identity": ["/accid", "/since/at"],
    "x-order": {"group": "commsease.mood", "scope": ["/accid"], "by": ["/since/at"], "rule": "latest"},
    "type": "object",
    "required": ["eventType", "accid", "mood", "since"],
    "properties": {
        "eventType": {"type": "string", "const": "777"},
        "accid": {"type": "string", "x-kind": "account"},
        "mood": {"type": "string", "x-kind": "text"},
        "since": {
            "type": "object",
            "required": ["at"],
            "properties": {"at": {"type": "string", "pattern": "^-?[0-9]+$", "x-kind": "millis"}},
        },
    },
    "examples": [SAMPLE],
}


class Moods:
    """A receiver that shows how everybody feels: what happened last, or what arrived last."""

    def __init__(self, *, late_wins: bool) -> None:
        self._late_wins = late_wins
        self._lock = threading.Lock()
        self._moods: dict[str, dict[str, Any]] = {}

    def __call__(self, request: Request) -> Answer:
        if request.method == "GET":
            with self._lock:
                return 200, "application/json", json.dumps(list(self._moods.values())).encode()
        given = {name.lower(): value for name, value in request.headers}
        digest = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
        due = hashlib.sha1(f"test-secret{digest}{given.get('curtime')}".encode(), usedforsecurity=False).hexdigest()
        if due != given.get("checksum"):
            return 401, "text/plain", b"checksum"
        event = json.loads(request.body)
        if event.get("eventType") == "777":
            with self._lock:
                old = self._moods.get(event["accid"])
                if self._late_wins or old is None or int(old["since"]["at"]) <= int(event["since"]["at"]):
                    self._moods[event["accid"]] = event
        return 200, "application/json", b"{}"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, and one schema more."""
    folder = tmp_path_factory.mktemp("scratch")
    for name in ("schemas", "provider_mock", "conformance"):
        shutil.copytree(ROOT / name, folder / "im_callback" / name, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "im_callback" / "schemas" / "commsease" / "mood.schema.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    return folder


@pytest.mark.parametrize("late_wins", [True, False], ids=["late-wins", "newest-wins"])
def test_state(late_wins: bool, copied: Path, tmp_path: Path) -> None:
    """A receiver that lets the late one win is caught, one that keeps the newest passes, and nothing was edited."""
    with serving(Moods(late_wins=late_wins)) as server:
        ended = pytest_in(
            tmp_path,
            *(f"--receiver-url={server.url}/callbacks", f"--receiver-effects={server.url}/effects"),
            *("--receiver-provider=commsease", "--receiver-handles=commsease.mood", "--receiver-settle=1"),
            *("--receiver-check=commsease.preflight.*", "--receiver-check=commsease.ordering.*"),
            PYTHONPATH=str(copied),
        )
    assert ended.result is not None, ended.output
    assert ["commsease.mood"] == ended.result["handles"]
    failed = {name for name, verdict in ended.verdicts.items() if verdict == "fail"}
    expected = {
        "commsease.ordering.stale-ignored",
        "commsease.ordering.newest-wins",
        "commsease.ordering.versions-at-once",
        "commsease.ordering.order-field-decides",
    }
    assert (expected if late_wins else set()) == failed, ended.output
    assert (1 if late_wins else 0) == ended.status, ended.output
