"""What most feeds of CommsEase share: headers signed over the body's raw bytes and the time.

Rules without a note are from "Data Sync Overview" (2022-12-08); the pages of the other feeds refer to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Feed,
    Level,
    Outcome,
    Parameter,
    Request,
    RetryPolicy,
    Stamp,
    octets,
    same,
)
from im_callback.provider_mock.wire import Wire

FAILURES = (Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.UNREACHABLE)


class BodySigned(Feed):
    """A feed of CommsEase's: AppKey, CurTime (ms), MD5 of the body and CheckSum in headers."""

    parameters = (
        Parameter("AppKey", "header", "key"),
        Parameter("CurTime", "header", "time"),
        Parameter("MD5", "header", "digest"),
        Parameter("CheckSum", "header", "signature"),
    )
    covers = frozenset({"body", "time"})
    levels: Mapping[str, Level] = {"application": "should", "freshness": "may"}

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with AppKey, CurTime (ms), MD5 and CheckSum headers."""
        del code
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
        return self.other_app(found["AppKey"], credentials)

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of CurTime, MD5 and CheckSum."""
        return {
            "T": "${NOW}000",
            "CurTime": "$T",
            "MD5": "$(md5sum < body.json | cut -d' ' -f1)",
            "CheckSum": "$(printf %s \"$SECRET$MD5$T\" | sha1sum | cut -d' ' -f1)",
        }


class Copied(BodySigned):
    """A feed that copies what has happened: taken with 200 or 500 within 5 s."""

    deadline = 5.0
    acks = frozenset({200, 500})
    ack_rule = "CommsEase takes 200 and 500 as received"
    policies: Mapping[str, RetryPolicy] = {
        "normal": RetryPolicy("one attempt; what fails is not sent again"),
        "reliable": RetryPolicy(
            "up to 1,000 resends, then parked for manual synchronisation, 500,000 at most; "
            "the spacing is not documented (60 s here)",
            retries=dict.fromkeys(FAILURES, 1000),
            spacing=dict.fromkeys(FAILURES, 60.0),
            exhausted="parked",
            backlog=500_000,
        ),
    }


def checksum(app_secret: str, digest: str, time: str) -> str:
    """Return sha1(AppSecret + MD5 + CurTime) in lower-case hex."""
    return hashlib.sha1(octets(app_secret + digest + time), usedforsecurity=False).hexdigest()
