"""What the checks of the signature and of broken bodies send, at feeds of every make: wherever parameters travel, whatever they are."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any, Literal, cast
from urllib.parse import urlencode

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import NotApplicable, Result, Verdict
from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Feed,
    Parameter,
    Provider,
    Request,
    RetryPolicy,
    Stamp,
    query_pairs,
    same,
    with_query,
)
from im_callback.provider_mock.contract.parameters import Place
from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import Catalogue, EventType

from tests.conformance.little_server import Answer, serving
from tests.conformance.test_run import a_run

pytestmark = pytest.mark.long

Encoding = Literal["object", "array", "form"]
MADE: list[tuple[Encoding, Place]] = [
    ("object", "header"),
    ("object", "query"),
    ("object", "body"),
    ("array", "header"),
    ("array", "query"),
    ("form", "header"),
    ("form", "query"),
    ("form", "body"),
]
VALUES = ("hex", "base64", "numbers", "several")
TOPICS = ("transport", "signature", "application", "freshness", "ack", "deadline", "retry", "duplicates", "order", "payload")  # fmt: skip
SCHEMA = {
    "x-event-type": "small.said",
    "x-code": "said",
    "title": "Said",
    "description": "Somebody said something.",
    "x-status": "documented",
    "x-source": [{"document": "Small", "section": "Said"}],
    "x-detect": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "said"}}},
    "x-identity": ["/said"],
    "x-order": None,
    "type": "object",
    "required": ["kind", "said"],
    "properties": {
        "kind": {"const": "said"},
        "said": {"type": "string", "x-kind": "long-id"},
        "words": {"type": "string", "x-kind": "text"},
    },
    "examples": [{"kind": "said", "said": "892147128399873024", "words": "hello"}],
}


class Small(Feed):
    """Signs over key, time, nonce, id and body; all parameters travel in one place."""

    name = "said"
    title = "What was said"
    deadline = 5.0
    freshness = 60.0
    ack_rule = "Small takes 200 as received"
    covers = frozenset({"key", "time", "nonce", "id", "body"})
    policies: Mapping[str, RetryPolicy] = {"none": RetryPolicy("none")}
    sources: Mapping[str, str] = dict.fromkeys(TOPICS, "Small")

    def __init__(self, encoding: Encoding, place: Place, values: str) -> None:
        self.encoding = encoding
        self.values = values
        roles = ("key", "time", "nonce", "id", "digest", "signature")
        self.parameters = tuple(
            Parameter(
                f"x-{role}", place, cast("Any", role), separator=" " * (values == "several" and role == "signature")
            )
            for role in roles
        )

    def written(self, data: bytes) -> str:
        """Return a hash as this feed writes one."""
        found = hashlib.sha256(data).digest()
        if self.values == "hex":
            return found.hex()
        if self.values == "numbers":
            return str(int.from_bytes(found[:6], "big"))
        return base64.b64encode(found).decode()

    def signature(self, secret: str | None, given: list[str]) -> str:
        """Return the signature over what comes before it."""
        one = self.written("|".join([secret or "", *given]).encode("utf-8", "surrogateescape"))
        return f"v9,{one[:9]} v1,{one}" if self.values == "several" else one

    def plain(self, body: bytes) -> bytes:
        """Return the bytes of a body that are signed: where the parameters stand in it, what else does."""
        if self.parameters[0].place != "body":
            return body
        try:
            document = self.read(body)
        except (ValueError, RecursionError):
            return body
        kept = {k: v for k, v in document.items() if not k.startswith("x-")} if isinstance(document, dict) else document
        return json.dumps(kept, sort_keys=True).encode()

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the signed POST; what is no object cannot hold the parameters, and goes out as it is."""
        del code
        given = [credentials.app_key, str(stamp.millis), f"{stamp.nonce}7", f"5{stamp.delivery}"]
        given.append(self.written(self.plain(body)))
        given.append(self.signature(credentials.app_secret, given))
        pairs = [(one.name, value) for one, value in zip(self.parameters, given, strict=True)]
        headers, place = tuple(self.content_type_header(wire)), self.parameters[0].place
        if place == "header":
            headers += tuple((wire.header(name), value) for name, value in pairs)
        elif place == "query":
            endpoint = with_query(endpoint, query_pairs(endpoint) + pairs)
        elif self.encoding == "form":
            body = urlencode(pairs).encode() + (b"&" + body if body else b"")
        elif body.lstrip()[:1] == b"{":
            numbers = self.values == "numbers"
            members = {name: int(value) if numbers and value.isdecimal() else value for name, value in pairs}
            rest = body.lstrip()[1:]
            body = json.dumps(members)[:-1].encode() + b"," * (rest.lstrip()[:1] != b"}") + rest
        return Request(endpoint, headers, body, chunked=wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with a request's parameters, or None."""
        found = self.once(request)
        if isinstance(found, str):
            return found
        *given, signature = found.values()
        due = self.signature(credentials.app_secret, given).rpartition(" ")[2]
        if not any(same(one, due) for one in (signature.split(" ") if self.values == "several" else [signature])):
            return "the signature is another"
        if given[0] != credentials.app_key or not same(given[4], self.written(self.plain(request.body))):
            return "the key or the digest is another"
        return None if abs(int(given[1]) - now_millis) <= 60_000 else "it is old"

    def shell(self) -> Mapping[str, str]:
        """Say nothing of how it is signed in a shell."""
        return {}


class Service(Provider):
    """A provider of one feed."""

    name = "small"
    title = "Small"
    defaults = Credentials("test-app", "test-secret")
    catalogue = Catalogue("small", {"small.said": EventType.from_schema(SCHEMA)})


class Receiver:
    """Keeps what was said, once; verifies by the feed's own rule, if it does."""

    def __init__(self, feed: Feed, *, verifies: bool) -> None:
        self.feed = feed
        self.verifies = verifies
        self.kept: dict[str, Any] = {}

    def __call__(self, request: Request) -> Answer:
        feed = self.feed
        if request.method != "POST":
            return 405, "text/plain", b"only POST"
        if self.verifies and feed.verify(request, feed.provider.defaults, round(time.time() * 1000)):
            return 401, "text/plain", b"wrong"
        try:
            payloads = feed.payloads(feed.read(request.body))
        except (ValueError, RecursionError):
            return 400, "text/plain", b"broken"
        if not all(isinstance(one, dict) and "\ufffd" not in str(one) and one.get("said") for one in payloads):
            return 400, "text/plain", b"broken"
        for one in payloads:
            self.kept.setdefault(one["said"], one)
        return 200, "application/json", b""


def results(feed: Feed, *, verifies: bool) -> dict[str, Result]:
    """Return what the checks of the signature and of robustness say about a receiver, by slug."""
    provider = Service(feed)
    receiver = Receiver(feed, verifies=verifies)
    with serving(receiver) as little:
        settings = Settings(little.url, provider, provider.defaults, seed=1, settle=0.0)
        run = Run(settings, mapped(lambda: list(receiver.kept.values()), None))
        checks = [one for one in all_checks() if one.among(run.feeds)]
        wanted = [one for one in checks if one.family in ("preflight", "signature", "robustness")]
        return {one.slug: run_check(one, run) for one in wanted}


class TestEveryMake:
    """Every check of the signature holds, whatever the feed is like."""

    @pytest.mark.parametrize("values", VALUES)
    @pytest.mark.parametrize(("encoding", "place"), MADE)
    def test_good(self, encoding: Encoding, place: Place, values: str) -> None:
        """A receiver that verifies passes them all."""
        found = results(Small(encoding, place, values), verifies=True)
        said = {slug: one.actual or one.reason for slug, one in found.items() if one.verdict is not Verdict.PASS}
        assert {} == said
        assert {"rejects-tampered-body", "rejects-recomputed-md5", "rejects-wrong-md5-header", "rejects-missing",
                "rejects-altered-nonce", "rejects-truncated-signature", "rejects-foreign-app"} <= set(found)  # fmt: skip

    @pytest.mark.parametrize(("encoding", "place"), MADE)
    def test_believes_everyone(self, encoding: Encoding, place: Place) -> None:
        """One that does not look at the parameters fails all that are about them."""
        found = results(Small(encoding, place, "base64"), verifies=False)
        rejecting = {slug for slug in found if slug.startswith("rejects-")}
        assert len(rejecting) >= 12
        passed = {slug: found[slug].verdict for slug in rejecting if found[slug].verdict is not Verdict.FAIL}
        assert {} == passed


class TestShot:
    """Tests for `Run.shot` with a change."""

    def test_says_what_it_is(self) -> None:
        """Without a note the change's own words; whether it is forged the feed's own rule says."""
        run = a_run("rongcloud")
        shot = run.shot(run.event(), change=Change("drop", "nonce"))
        assert ("nonce left out", True, False) == (shot.note, shot.forged, shot.broken)
        tampered = run.shot(run.event(), change=Change("body"))
        assert not tampered.forged
        broken = run.shot(run.event(), change=Change("break", value="container"))
        assert ("an object for an array", False, True) == (broken.note, broken.forged, broken.broken)

    def test_nothing_to_do(self) -> None:
        """A check whose change finds nothing to do does not apply, and says why."""
        run = a_run("commsease")
        with pytest.raises(NotApplicable, match="has no parameter 'nonce'"):
            run.shot(run.event(), change=Change("alter", "nonce"))
