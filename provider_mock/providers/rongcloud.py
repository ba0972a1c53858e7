"""RongCloud chatroom callbacks: signature in the query, body not covered, an array of items.

Rules without a note are from "Chatroom Attribute Synchronization (KV)"; the signature's formula
is from "Server Callback Signature" of the same documentation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Event,
    Judgement,
    NoReply,
    Outcome,
    Parameter,
    Provider,
    Reply,
    Request,
    RetryPolicy,
    Stamp,
    in_time,
    octets,
    query_pairs,
    same,
    with_query,
)
from provider_mock.wire import Wire, encode

LEGACY_TIME = "signTimestamp"


class RongCloud(Provider):
    """The chatroom callbacks of RongCloud."""

    name = "rongcloud"
    title = "RongCloud"
    deadline = 5.0
    batches = True
    defaults = Credentials("test-key", "test-secret")
    parameters = (
        Parameter("appKey", "query", "key"),
        Parameter("timestamp", "query", "time"),
        Parameter("nonce", "query", "nonce"),
        Parameter("signature", "query", "signature"),
    )
    unknown_type: Mapping[str, Any] = {"optType": 99}
    policies: Mapping[str, RetryPolicy] = {
        "documented": RetryPolicy(
            "two more attempts on a time-out (spacing not documented: at once here), then dropped; "
            "after network trouble again in 5 minutes; a refusal is not sent again (not documented); "
            "many time-outs pause everything for a minute (how many is not documented: 20 in a row here)",
            retries={Outcome.TIMED_OUT: 2, Outcome.UNREACHABLE: 2},
            spacing={Outcome.UNREACHABLE: 300.0},
            pause_after=20,
            pause_seconds=60.0,
        ),
    }
    sources: Mapping[str, str] = {
        "transport": "RongCloud, Chatroom Attribute Synchronization (KV): Callback Method",
        "signature": "RongCloud, Server Callback Signature",
        "application": "RongCloud, Server Callback Signature",
        "ack": "RongCloud, Chatroom Attribute Synchronization (KV): Body Parameters",
        "deadline": "RongCloud, Chatroom Attribute Synchronization (KV): Body Parameters",
        "retry": "RongCloud, Chatroom Attribute Synchronization (KV): Body Parameters",
        "duplicates": "RongCloud, Chatroom Attribute Synchronization (KV): Body Parameters",
        "order": "RongCloud, Chatroom Attribute Synchronization (KV): Body Parameters, version",
        "payload": "RongCloud, Chatroom Attribute Synchronization (KV): Body Parameters",
    }

    def request(
        self,
        events: Sequence[Event],
        endpoint: str,
        credentials: Credentials,
        stamp: Stamp,
        wire: Wire = DOCUMENTED,
    ) -> Request:
        """Return the signed POST of an array of events."""
        body = encode([event.payload for event in events], wire)
        return self.sign(body, "", endpoint, credentials, stamp, wire)

    def request_written(
        self, event_type: str, text: str, endpoint: str, credentials: Credentials, stamp: Stamp
    ) -> Request:
        """Return the signed POST of the array as it stands."""
        del event_type
        return self.sign(text.encode(), "", endpoint, credentials, stamp)

    def sign(
        self, body: bytes, command: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with appKey, timestamp (ms), nonce and signature in the query.

        `wire.legacy_names` says `signTimestamp` for `timestamp`, as until 2021.
        """
        del command
        time = str(stamp.millis)
        values = (credentials.app_key, time, stamp.nonce, signature(credentials.app_secret or "", stamp.nonce, time))
        signed = [(p.name, value) for p, value in zip(self.parameters, values, strict=True)]
        if wire.legacy_names:
            signed = [(LEGACY_TIME if name == "timestamp" else name, value) for name, value in signed]
        url = with_query(endpoint, query_pairs(endpoint) + signed)
        return Request(url, tuple(self.content_type_header(wire)), body, chunked=wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the query, or None; the documents set no limit to the timestamp's age."""
        del now_millis
        found = self.once(request)
        if isinstance(found, str):
            return found
        due = signature(credentials.app_secret or "", found["nonce"], found["timestamp"])
        if not same(found["signature"], due):
            return "the signature is not sha1(AppSecret + nonce + timestamp)"
        if not same(found["appKey"], credentials.app_key):
            return f"the appKey is {found['appKey']!r}, not {credentials.app_key!r}"
        return None

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return acked for exactly 200 within 5 s; the body is not looked at."""
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        return _judged(timely.status)

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of timestamp, nonce and signature."""
        return {
            "T": "${NOW}000",
            "timestamp": "$T",
            "nonce": "$T",
            "signature": "$(printf %s \"$SECRET$T$T\" | sha1sum | cut -d' ' -f1)",
        }


def signature(app_secret: str, nonce: str, timestamp: str) -> str:
    """Return sha1(AppSecret + nonce + timestamp) in lower-case hex."""
    return hashlib.sha1(octets(app_secret + nonce + timestamp), usedforsecurity=False).hexdigest()


@lru_cache
def _judged(status: int) -> Judgement:
    outcome = Outcome.ACKED if status == 200 else Outcome.REFUSED
    return Judgement(outcome, f"status {status}; RongCloud takes 200 as received")


PROVIDER = RongCloud()
