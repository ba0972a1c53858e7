"""A provider whose signature travels in the body: its checks, good and broken receivers, its one retry."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.checks import acknowledgement
from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock.contract import Credentials, Event, NextAttempt, Outcome, Stamp, Tried
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.wire import Wire

from tests.conformance.little_server import serving
from tests.conformance.quick import FAR, quick
from tests.conformance.test_curl import Place
from tests.plugin_provider.inbody.provider import PROVIDER
from tests.programs import needed
from tests.receivers.good import Answer, Request
from tests.receivers.serving import serve

(FEED,) = PROVIDER.feeds
STAMP = Stamp(1_700_000_000_000, "1", "7")
FITTING = {
    "acknowledgement": "acks-every-type acks-unknown-type exact-status within-deadline within-deadline-under-burst "
    "nothing-acked-is-lost",
    "deduplication": "same-request-again retry-signed-afresh retry-reformatted retry-after-lost-ack retry-after-timeout "
    "concurrent twins-are-kept far-apart nothing-doubled",
    "ordering": "no-order",
    "payloads": "optional-absent optional-present every-variant limits unknown-field content",
    "preflight": "reachable accepts-valid effects-answer effects-show-delivery records",
    "robustness": "malformed-json invalid-utf8 empty-body wrong-types wrong-method oversized cut-off-body trickled-body "
    "connection-reuse still-alive",
    "signature": "accepts-documented accepts-non-ascii accepts-content-type accepts-chunked rejects-wrong-secret "
    "rejects-empty-secret rejects-altered-time rejects-altered-id rejects-missing rejects-truncated-signature "
    "rejects-stale refusal-is-visible no-phantoms",
}
"""Every check that holds: none of headers, of a signed body, of batches or of order."""
IDS = {f"{family}.{slug}" for family, slugs in FITTING.items() for slug in slugs.split()}
NEVER = {"ordering.no-order"}


class Inbox:
    """Verifies `security`, and keeps each message once."""

    server: ClassVar[str] = "waitress"
    caught_by: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.messages: dict[Any, dict[str, Any]] = {}

    def close(self) -> None:
        self.stopped.set()

    def receive(self, request: Request) -> Answer:
        try:
            event = json.loads(request.body)
        except (ValueError, RecursionError):
            return Answer(400)
        if not isinstance(event, dict) or not self.genuine(event):
            return Answer(401)
        with self.lock:
            if event.get("eventType") == "chat":
                self.messages.setdefault(self.key(event), event)
        return Answer(200)

    def genuine(self, event: dict[str, Any]) -> bool:
        given = [event.get(name) for name in ("callId", "timestamp", "security")]
        identity, moment, security = (str(one or "") for one in given)
        due = hashlib.md5(f"{identity}test-secret{moment}".encode()).hexdigest()
        # No limit is documented; an hour leaves room for every retry.
        recent = moment.isascii() and moment.isdigit() and abs(int(moment) / 1000 - time.time()) <= 3600
        return identity != "" and recent and hmac.compare_digest(security.encode(), due.encode())

    def key(self, event: dict[str, Any]) -> Any:
        return event["msg_id"]

    def effects(self) -> list[dict[str, Any]]:
        with self.lock:
            return list(self.messages.values())


class BelievesEveryone(Inbox):
    """Does not look at `security`."""

    caught_by = {
        f"signature.rejects-{slug}"
        for slug in "wrong-secret empty-secret altered-time altered-id missing truncated-signature stale".split()
    }

    def genuine(self, event: dict[str, Any]) -> bool:
        return True


class KeepsEverything(Inbox):
    """Records repeats."""

    caught_by = {
        f"deduplication.{slug}"
        for slug in (
            "same-request-again",
            "retry-signed-afresh",
            "retry-reformatted",
            "retry-after-lost-ack",
            "retry-after-timeout",
            "concurrent",
            "far-apart",
        )
    }

    def key(self, event: dict[str, Any]) -> Any:
        return object()


class KnowsTimes(Inbox):
    """Tells messages apart by when they were signed."""

    caught_by = {"deduplication.far-apart", "deduplication.retry-signed-afresh", "deduplication.retry-reformatted"}

    def key(self, event: dict[str, Any]) -> Any:
        return event["msg_id"], event["timestamp"]


class AnswersCreated(Inbox):
    """Says 201, which is no acknowledgement here, to group messages."""

    caught_by = {
        "acknowledgement.acks-every-type",
        "acknowledgement.exact-status",
        "payloads.every-variant",
        "signature.accepts-documented",
    }

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        return Answer(201) if answer.status == 200 and b'"groupchat"' in request.body else answer


MUTANTS = (BelievesEveryone, KeepsEverything, KnowsTimes, AnswersCreated)


def results(kind: type[Inbox]) -> list[Result]:
    """Return what every check says about a receiver."""
    receiver = kind()
    with serve(receiver) as url:
        run = Run(
            Settings(url, PROVIDER, PROVIDER.defaults, seed=20, settle=0, dedupe_distance=FAR),
            mapped(receiver.effects, None),
        )
        return [run_check(check, run) for check in all_checks() if not check.option and check.among(PROVIDER.feeds)]


def slugs(found: list[Result], verdict: Verdict) -> set[str]:
    """Return the ids, without the provider, of the checks that came to a verdict."""
    return {one.id.removeprefix("inbody.") for one in found if one.verdict is verdict}


def said(found: list[Result]) -> str:
    """Return what the checks that did not pass have to say."""
    return "\n".join(f"{one.id}: {one.verdict.value}: {one.actual or one.reason}" for one in found)


class TestChecks:
    """What a receiver is judged by."""

    def test_fitting(self) -> None:
        """Exactly these hold."""
        holding = [check.id(PROVIDER) for check in all_checks() if not check.option and check.among(PROVIDER.feeds)]
        assert sorted(IDS) == sorted(one.removeprefix("inbody.") for one in holding)

    def test_good(self) -> None:
        """A good receiver passes all that can be judged."""
        found = results(Inbox)
        assert slugs(found, Verdict.NOT_APPLICABLE) == NEVER, said(found)
        assert slugs(found, Verdict.PASS) == IDS - NEVER, said(found)

    @pytest.mark.parametrize("kind", MUTANTS, ids=lambda kind: kind.__name__)
    def test_caught(self, kind: type[Inbox], monkeypatch: pytest.MonkeyPatch) -> None:
        """A broken one fails exactly the checks that it names."""
        monkeypatch.setattr(acknowledgement, "BURST", 40)
        quick(monkeypatch)
        found = results(kind)
        assert slugs(found, Verdict.FAIL) == kind.caught_by, said(found)


class TestContract:
    """Requests and what follows."""

    @pytest.mark.parametrize(
        "wire", [Wire(), Wire(spaces=True), Wire(tail="\n"), Wire(key_order="alphabetical")], ids=str
    )
    def test_signed(self, wire: Wire) -> None:
        """The members come first, whatever the rest is written like; nothing of the payload is lost."""
        (one,) = PROVIDER.catalogue
        payload = Generator(1, STAMP.millis).event(one).payload
        request = FEED.request([Event(one.name, payload)], "http://127.0.0.1/", PROVIDER.defaults, STAMP, wire)
        assert FEED.verify(request, PROVIDER.defaults, STAMP.millis) is None
        assert "security" in str(FEED.verify(request, Credentials("", "other"), STAMP.millis))
        sent = json.loads(request.body)
        assert ["callId", "timestamp", "security"] == list(sent)[:3]
        assert ("app_7", STAMP.millis) == (sent["callId"], sent["timestamp"])
        assert payload.items() <= sent.items()
        assert one.name == PROVIDER.identify(sent).name

    @pytest.mark.parametrize("body", [b"", b"7", b"[{}]", b"nul"])
    def test_no_object(self, body: bytes) -> None:
        """What is no object cannot be signed, and goes out as it is."""
        assert body == FEED.sign(body, "", "http://127.0.0.1/", PROVIDER.defaults, STAMP).body

    def test_retry(self) -> None:
        """Once, at once."""
        refused = Tried(Outcome.REFUSED)
        policy = FEED.policies["once"]
        assert NextAttempt("retry") == FEED.next_attempt([refused], policy)
        assert NextAttempt("dropped") == FEED.next_attempt([refused] * 2, policy)


class TestAgain:
    """The printed lines that send a failure again."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        """A receiver that takes everything, and a folder."""
        needed("bash", "curl")
        with serving(lambda request: (200, "application/json", b"")) as server:
            yield Place(server, tmp_path, PROVIDER)

    @pytest.mark.parametrize("wire", [Wire(), Wire(spaces=True)], ids=["compact", "spaces"])
    def test_filled(self, wire: Wire, place: Place) -> None:
        """Time and signature are made anew inside the body; the rest stays byte for byte."""
        shot = place.shot(wire=wire)
        (arrived,) = place.bodies([place.attempt(shot, 0)])
        before, after = json.loads(shot.request.body), json.loads(arrived)
        assert {"timestamp", "security"} == {name for name in before if before[name] != after[name]}
        old = str(before["timestamp"]).encode(), before["security"].encode()
        new = str(after["timestamp"]).encode(), after["security"].encode()
        assert shot.request.body.replace(old[0], new[0]).replace(old[1], new[1]) == arrived
