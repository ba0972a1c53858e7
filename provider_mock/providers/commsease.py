"""NetEase CommsEase (YunXin) Data Sync: signed headers over the raw body, 200 or 500 is an ack.

Rules without a note are from "Data Sync Overview" (2022-12-08).
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
    same,
)
from provider_mock.wire import Wire, encode

ACKS = frozenset({200, 500})


class CommsEase(Provider):
    """Data Sync of NetEase CommsEase."""

    name = "commsease"
    title = "NetEase CommsEase"
    deadline = 5.0
    defaults = Credentials("test-key", "test-secret")
    parameters = (
        Parameter("AppKey", "header", "key"),
        Parameter("CurTime", "header", "time"),
        Parameter("MD5", "header", "digest"),
        Parameter("CheckSum", "header", "signature"),
    )
    unknown_type: Mapping[str, Any] = {"eventType": "9999"}
    policies: Mapping[str, RetryPolicy] = {
        "normal": RetryPolicy("one attempt; what fails is not sent again"),
        "reliable": RetryPolicy(
            "up to 1,000 resends, then parked for manual synchronisation, 500,000 at most; "
            "the spacing is not documented (60 s here)",
            retries={Outcome.REFUSED: 1000, Outcome.TIMED_OUT: 1000, Outcome.UNREACHABLE: 1000},
            spacing={Outcome.REFUSED: 60.0, Outcome.TIMED_OUT: 60.0, Outcome.UNREACHABLE: 60.0},
            exhausted="parked",
            backlog=500_000,
        ),
    }
    sources: Mapping[str, str] = {
        "transport": "CommsEase, Data Sync Overview (2022-12-08): Request format",
        "signature": "CommsEase, Data Sync Overview (2022-12-08): Request header settings",
        "application": "CommsEase, Data Sync Overview (2022-12-08): Request header settings",
        "ack": "CommsEase, Data Sync Overview (2022-12-08): Asynchronous mechanism",
        "deadline": "CommsEase, Data Sync Overview (2022-12-08): Asynchronous mechanism",
        "retry": "CommsEase, Data Sync Overview (2022-12-08): Asynchronous mechanism",
        "duplicates": "CommsEase, Data Sync Overview (2022-12-08): Deduplication mechanism",
        "order": "CommsEase, Other IM Message Delivery (2021-12-03): Login event",
        "payload": "CommsEase, Other IM Message Delivery (2021-12-03)",
        "probe": "CommsEase, Activate and configure Data Sync (2024-07-17)",
    }

    def request(
        self,
        events: Sequence[Event],
        endpoint: str,
        credentials: Credentials,
        stamp: Stamp,
        wire: Wire = DOCUMENTED,
    ) -> Request:
        """Return the signed POST of one event; ValueError for several: Data Sync sends one a request."""
        (event,) = events
        return self.sign(encode(event.payload, wire), "", endpoint, credentials, stamp, wire)

    def request_written(
        self, event_type: str, text: str, endpoint: str, credentials: Credentials, stamp: Stamp
    ) -> Request:
        """Return the signed POST of the one event in the array; ValueError for several."""
        if text == "[]" or "},{" in text:  # several events, or a string that looks like it
            return super().request_written(event_type, text, endpoint, credentials, stamp)
        return self.sign(text[1:-1].encode(), "", endpoint, credentials, stamp)

    def sign(
        self, body: bytes, command: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with AppKey, CurTime (ms), MD5 and CheckSum headers."""
        del command
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        time = str(stamp.millis)
        signature = checksum(credentials.app_secret or "", digest, time)
        headers = self.headers(wire, (credentials.app_key, time, digest, signature))
        return Request(endpoint, headers, body, "POST", wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the four headers, or None; the documents set no limit to CurTime's age."""
        del now_millis
        found = self.once(request)
        if isinstance(found, str):
            return found
        digest = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
        if not same(found["MD5"], digest):
            return f"the header MD5 is {found['MD5']!r}, but the body's MD5 is {digest!r}"
        if not same(found["CheckSum"], checksum(credentials.app_secret or "", digest, found["CurTime"])):
            return "the CheckSum is not sha1(AppSecret + MD5 + CurTime)"
        if not same(found["AppKey"], credentials.app_key):
            return f"the AppKey is {found['AppKey']!r}, not {credentials.app_key!r}"
        return None

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return acked for exactly 200 or 500 within 5 s; the body is not looked at."""
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        return _judged(timely.status)

    def probe(self, endpoint: str, credentials: Credentials, stamp: Stamp) -> Request | None:
        """Return the signed `{}` with a `charset` header that the console sends."""
        signed = self.sign(b"{}", "", endpoint, credentials, stamp)
        return Request(endpoint, (*signed.headers[:1], ("charset", "utf-8"), *signed.headers[1:]), signed.body)

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of CurTime, MD5 and CheckSum."""
        return {
            "T": "${NOW}000",
            "CurTime": "$T",
            "MD5": "$(md5sum < body.json | cut -d' ' -f1)",
            "CheckSum": "$(printf %s \"$SECRET$MD5$T\" | sha1sum | cut -d' ' -f1)",
        }


@lru_cache
def _judged(status: int) -> Judgement:
    outcome = Outcome.ACKED if status in ACKS else Outcome.REFUSED
    return Judgement(outcome, f"status {status}; CommsEase takes 200 and 500 as received")


def checksum(app_secret: str, digest: str, time: str) -> str:
    """Return sha1(AppSecret + MD5 + CurTime) in lower-case hex."""
    return hashlib.sha1(octets(app_secret + digest + time), usedforsecurity=False).hexdigest()


PROVIDER = CommsEase()
