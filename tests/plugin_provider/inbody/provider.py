"""A provider of Easemob's make: what signs travels in the JSON body, `security` = MD5(callId + secret + timestamp)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Feed,
    Outcome,
    Parameter,
    Provider,
    Request,
    RetryPolicy,
    Stamp,
    octets,
    same,
)
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import Catalogue, load

SOURCE = "Inbody, Callbacks: Messages"
TOPICS = (
    "transport",
    "signature",
    "freshness",
    "ack",
    "answer",
    "deadline",
    "retry",
    "duplicates",
    "order",
    "payload",
)


class Messages(Feed):
    """Messages, after they were sent."""

    name = "messages"
    title = "Messages"
    deadline = 5.0
    ack_rule = "Inbody takes 200 as received"
    parameters = (
        Parameter("callId", "body", "id"),
        Parameter("timestamp", "body", "time"),
        Parameter("security", "body", "signature"),
    )
    covers = frozenset({"id", "time"})
    unknown_type: Mapping[str, Any] = {"eventType": "not_yet_documented"}
    policies: Mapping[str, RetryPolicy] = {
        "once": RetryPolicy(
            "one more attempt, at once, then dropped",
            retries={Outcome.REFUSED: 1, Outcome.TIMED_OUT: 1, Outcome.UNREACHABLE: 1},
        )
    }
    sources: Mapping[str, str] = dict.fromkeys(TOPICS, SOURCE)

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with the three members before its own; what is no object stays as it is."""
        del code
        headers = tuple(self.content_type_header(wire))
        before, brace, rest = body.partition(b"{")
        if not brace or before.strip():
            return Request(endpoint, headers, body, chunked=wire.chunked)
        identity = f"app_{stamp.delivery}"
        security = digest(identity, credentials.app_secret or "", str(stamp.millis))
        members = json.dumps({"callId": identity, "timestamp": stamp.millis, "security": security})[1:-1].encode()
        comma = b"" if rest.lstrip()[:1] == b"}" else b","
        return Request(endpoint, headers, before + b"{" + members + comma + rest, chunked=wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the members, or None."""
        del now_millis
        found = self.once(request)
        if isinstance(found, str):
            return found
        due = digest(found["callId"], credentials.app_secret or "", found["timestamp"])
        return None if same(found["security"], due) else "security is not MD5(callId + secret + timestamp)"

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of the time and the signature."""
        return {
            "T": "${NOW}000",
            "timestamp": "$T",
            "security": "$(printf %s \"$callId$SECRET$T\" | md5sum | cut -d' ' -f1)",
        }


class Inbody(Provider):
    """A provider without entry points: whoever has the object can play it."""

    name = "inbody"
    title = "Inbody"
    defaults = Credentials("test-app", "test-secret")

    @cached_property
    def catalogue(self) -> Catalogue:
        """Its one event type."""
        return load(Path(__file__).parent / "schemas")


PROVIDER = Inbody(Messages())


def digest(identity: str, secret: str, moment: str) -> str:
    """Return MD5(callId + secret + timestamp) in lower-case hex."""
    return hashlib.md5(octets(identity + secret + moment), usedforsecurity=False).hexdigest()
