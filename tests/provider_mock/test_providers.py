"""Finding providers: our own, and those that other packages bring with them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Outcome, Provider, Reply, Request, Stamp
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.schemas import DIALECT

OURS = ["commsease", "rongcloud", "tencent"]
MODULE = '''
"""Callbacks whose credentials are fields of the body: security = MD5(callId + secret + timestamp)."""

import hashlib
import json
from functools import cached_property
from pathlib import Path

from im_callback import schemas
from im_callback.provider_mock.contract import DOCUMENTED, Credentials, Feed, Judgement, Outcome, Provider, Request, RetryPolicy, in_time
from im_callback.provider_mock.wire import encode


class Callbacks(Feed):
    name = "callbacks"
    title = "Callbacks"
    deadline = 3.0
    ack_rule = "any 2xx is taken"
    policies = {"none": RetryPolicy("one attempt")}
    sources = {"signature": "EasyChat, Callbacks"}

    def request(self, events, endpoint, credentials, stamp, wire=DOCUMENTED):
        (event,) = events
        payload = {**event.payload, "timestamp": stamp.millis}
        payload["security"] = security(payload["callId"], credentials.app_secret, stamp.millis)
        return Request(endpoint, tuple(self.content_type_header(wire)), encode(payload, wire), chunked=wire.chunked)

    def sign(self, body, command, endpoint, credentials, stamp, wire=DOCUMENTED):
        return self.request([schemas_event(json.loads(body))], endpoint, credentials, stamp, wire)

    def verify(self, request, credentials, now_millis):
        payload = json.loads(request.body)
        due = security(payload["callId"], credentials.app_secret, payload["timestamp"])
        return None if payload["security"] == due else "security is not MD5(callId + secret + timestamp)"

    def judge(self, reply):
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        taken = 200 <= timely.status < 300
        return Judgement(Outcome.ACKED if taken else Outcome.REFUSED, f"status {timely.status}; any 2xx is taken")

    def shell(self):
        return {}


class EasyChat(Provider):
    name = "easychat"
    title = "EasyChat"
    defaults = Credentials("org#app", "test-secret")

    @cached_property
    def catalogue(self):
        return schemas.load(Path(__file__).parent / "easychat_schemas")


def schemas_event(payload):
    from im_callback.provider_mock.contract import Event

    return Event("easychat.message", payload)


def security(call_id, secret, timestamp):
    return hashlib.md5(f"{call_id}{secret}{timestamp}".encode()).hexdigest()


PROVIDER = EasyChat(Callbacks())
'''
SAMPLE = {"callId": "org#app_1", "eventType": "chat", "timestamp": 1, "security": "", "from": "a", "text": "hello"}
SCHEMA = {
    "$schema": DIALECT,
    "$id": "https://example.com/easychat/message.schema.json",
    "title": "A message",
    "description": "Sent after a message.",
    "$comment": "Every field is documented.",
    "x-event-type": "easychat.message",
    "x-code": "chat",
    "x-status": "documented",
    "x-source": [{"document": "EasyChat, Callbacks", "section": "Message"}],
    "x-detect": {"properties": {"eventType": {"const": "chat"}}, "required": ["eventType"]},
    "x-identity": ["/callId"],
    "x-order": None,
    "type": "object",
    "required": ["callId", "eventType", "timestamp", "security", "from"],
    "properties": {
        "callId": {"type": "string", "x-kind": "uuid"},
        "eventType": {"const": "chat"},
        "timestamp": {"type": "integer", "x-kind": "millis"},
        "security": {"type": "string", "x-kind": "text"},
        "from": {"type": "string", "x-kind": "account"},
        "text": {"type": "string", "x-kind": "text"},
    },
    "examples": [SAMPLE],
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as an installed package leaves it: a module, its schemas, and the entry point."""
    (tmp_path / "easychat_callbacks.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "easychat_schemas").mkdir()
    (tmp_path / "easychat_schemas" / "message.schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    info = tmp_path / "easychat_callbacks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: easychat-callbacks\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        f"[{providers.GROUP}]\neasychat = easychat_callbacks:PROVIDER\n", encoding="utf-8"
    )
    return tmp_path


@pytest.fixture
def easychat(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """The third party's provider, loaded by name."""
    monkeypatch.syspath_prepend(str(installed))
    yield providers.load("easychat")
    sys.modules.pop("easychat_callbacks", None)


class TestNames:
    """Tests for `providers.names`."""

    def test_ours(self) -> None:
        """Our own come first, in alphabetical order."""
        assert OURS == providers.names()[:3]

    def test_third_party(self, easychat: Provider) -> None:
        """Then those that other packages register."""
        assert "easychat" in providers.names()[len(OURS) :]


class TestLoad:
    """Tests for `providers.load`."""

    @pytest.mark.parametrize("name", OURS)
    def test_ours(self, name: str) -> None:
        """A provider knows its name and its event types, and is the same every time."""
        provider = providers.load(name)
        assert name == provider.name
        assert provider.title
        assert provider is providers.load(name)
        assert all(one.provider == name for one in provider.catalogue)

    @pytest.mark.parametrize(
        ("name", "fix"),
        [
            ("", "choose one of: "),
            ("CommsEase", "did you mean 'commsease'? there are "),
            ("nope", "choose one of: "),
            ("__init__", "choose one of: "),
            ("commsease.login", "did you mean 'commsease'? there are "),
        ],
    )
    def test_unknown(self, name: str, fix: str) -> None:
        """An unknown name is an error that lists the known ones."""
        expected = f"no provider is called {name!r}; {fix}{', '.join(providers.names())}"
        with pytest.raises(providers.UnknownProvider) as raised:
            providers.load(name)
        assert expected == str(raised.value)
        assert name == raised.value.name


class TestThirdParty:
    """A provider with credentials in the body, from a package of its own."""

    def test_catalogue(self, easychat: Provider) -> None:
        """It brings its own schemas."""
        assert ("easychat.message",) == easychat.catalogue.names
        found = easychat.catalogue.identify(SAMPLE)
        assert found is easychat.catalogue["easychat.message"]
        assert [] == found.problems(SAMPLE)

    def test_request(self, easychat: Provider) -> None:
        """It signs inside the body, by its own formula."""
        request = easychat.feeds[0].request(
            [Event("easychat.message", SAMPLE)], "http://h/cb", easychat.defaults, Stamp(99, "")
        )
        payload = json.loads(request.body)
        assert hashlib.md5(b"org#app_1test-secret99", usedforsecurity=False).hexdigest() == payload["security"]
        assert "http://h/cb" == request.url
        assert (("Content-Type", "application/json"),) == request.headers

    def test_verify(self, easychat: Provider) -> None:
        """What it signs it verifies, and a change it finds."""
        request = easychat.feeds[0].sign(
            json.dumps(SAMPLE).encode(), "", "http://h/cb", easychat.defaults, Stamp(99, "")
        )
        assert easychat.feeds[0].verify(request, easychat.defaults, 0) is None
        changed = Request(request.url, request.headers, request.body.replace(b"org#app_1", b"org#app_2"))
        assert "security is not MD5(callId + secret + timestamp)" == easychat.feeds[0].verify(
            changed, easychat.defaults, 0
        )

    @pytest.mark.parametrize(
        ("outcome", "status", "seconds"),
        [
            (Outcome.ACKED, 204, 0.1),
            (Outcome.REFUSED, 500, 0.1),
            (Outcome.REFUSED, 302, 0.1),
            (Outcome.TIMED_OUT, 200, 3.1),
        ],
    )
    def test_judge(self, easychat: Provider, outcome: Outcome, status: int, seconds: float) -> None:
        """It has its own rule of acknowledgement."""
        assert outcome is easychat.feeds[0].judge(Reply(status, (), b"", seconds)).outcome

    def test_generated(self, easychat: Provider) -> None:
        """Events are made up from its schemas as from ours."""
        generator = Generator(1, 1_767_225_600_000)
        events = [generator.event(easychat.catalogue["easychat.message"]) for _ in range(20)]
        assert 20 == len({event.payload["callId"] for event in events})

    @pytest.mark.parametrize(
        ("expected", "arguments"),
        [
            ("easychat.message", ["events", "easychat"]),
            ("org#app_1", ["sample", "easychat.message"]),
            ("callId", ["sample", "easychat.message", "--generate", "--seed", "1"]),
        ],
    )
    def test_command(self, installed: Path, expected: str, arguments: list[str]) -> None:
        """The command finds it in a fresh process."""
        environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(installed)}
        command = [sys.executable, "-c", "from im_callback.provider_mock.cli import entry; entry()", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert expected in done.stdout
