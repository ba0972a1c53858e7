"""NetEase's older meeting component: a nonce in the signature, no MD5 header, and the one page with retry intervals.

Rules without a note are from the component's user guide (netease-kit/documents, 2022-12-01).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Feed,
    Level,
    Parameter,
    Request,
    RetryPolicy,
    Stamp,
    octets,
    same,
)
from im_callback.provider_mock.providers.commsease.signing import FAILURES
from im_callback.provider_mock.wire import Wire

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

GUIDE: Final = "NetEase, documentation of the meeting component (netease-kit/documents, 2022-12-01)"
INTERVALS: Final = (2.0, 4.0, 6.0, 3600.0, 3600.0)
"""Seconds before each of the five more attempts."""


class Meeting(Feed):
    """What happens in meetings of the older component."""

    name = "meeting"
    title = "Callbacks of the older meeting component"
    # The guide names no deadline; this is that of the vendor's other copies.
    deadline = 5.0
    ack_rule = "the meeting component takes 200 as received"
    parameters = (
        Parameter("AppKey", "header", "key"),
        Parameter("Nonce", "header", "nonce"),
        Parameter("CurTime", "header", "time"),
        Parameter("CheckSum", "header", "signature"),
    )
    covers = frozenset({"body", "time", "nonce"})
    unknown_type: Mapping[str, Any] = {"msgType": 9999}
    policies: Mapping[str, RetryPolicy] = {
        "documented": RetryPolicy(
            "5 more attempts, after 2 s, 4 s, 6 s, 1 h and 1 h, then dropped; the guide speaks of other statuses, "
            "that no answer counts like one is inferred",
            retries=dict.fromkeys(FAILURES, len(INTERVALS)),
            spacing=dict.fromkeys(FAILURES, INTERVALS),
        ),
    }
    sources: Mapping[str, str] = {
        "transport": f"{GUIDE}: callbacks, request",
        "signature": f"{GUIDE}: callbacks, CheckSum",
        "application": f"{GUIDE}: callbacks, CheckSum",
        "freshness": f"{GUIDE}: callbacks, CheckSum",
        "ack": f"{GUIDE}: callbacks, repetition",
        "answer": f"{GUIDE}: callbacks, repetition",
        "deadline": f"{GUIDE}: callbacks, repetition",
        "retry": f"{GUIDE}: callbacks, repetition",
        "duplicates": f"{GUIDE}: callbacks, repetition",
        "order": f"{GUIDE}: callbacks, repetition",
        "payload": f"{GUIDE}: callbacks, body",
    }
    levels: Mapping[str, Level] = {"application": "should", "freshness": "may"}

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with AppKey, Nonce, CurTime (ms) and CheckSum headers."""
        del code
        time = str(stamp.millis)
        signature = checksum(credentials.app_secret or "", stamp.nonce, time, body)
        headers = self.headers(wire, (credentials.app_key, stamp.nonce, time, signature))
        return Request(endpoint, headers, body, "POST", wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the four headers, or None; the guide sets no limit to CurTime's age."""
        del now_millis
        found = self.once(request)
        if isinstance(found, str):
            return found
        due = checksum(credentials.app_secret or "", found["Nonce"], found["CurTime"], request.body)
        if not same(found["CheckSum"], due):
            return "the CheckSum is not sha1(AppSecret + Nonce + CurTime + md5(body))"
        return self.other_app(found["AppKey"], credentials)

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of CurTime, Nonce and CheckSum."""
        return {
            "T": "${NOW}000",
            "CurTime": "$T",
            "Nonce": "$NOW",
            "CheckSum": "$(printf %s \"$SECRET$Nonce$T$(md5sum < body.json | cut -d' ' -f1)\" | sha1sum | cut -d' ' -f1)",
        }

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return meetings that start, fill, empty and end."""
        from im_callback.provider_mock.providers.commsease.rooms_story import meeting_story

        return meeting_story(stage)


def checksum(app_secret: str, nonce: str, time: str, body: bytes) -> str:
    """Return sha1(AppSecret + Nonce + CurTime + md5(body)) in lower-case hex."""
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return hashlib.sha1(octets(app_secret + nonce + time + digest), usedforsecurity=False).hexdigest()
