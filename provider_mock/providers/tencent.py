"""Tencent Cloud Chat webhooks: a token over the time alone, 2 seconds, 200 and a JSON answer.

Rules without a note are from "Webhook Overview"; the event is from "After a One-to-One Message
Is Sent" (2024-06-25).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
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

_SECONDS = re.compile(r"[0-9]{1,15}")
FIXED_QUERY = (("contenttype", "json"), ("ClientIP", "127.0.0.1"), ("OptPlatform", "iOS"))


class Tencent(Provider):
    """The after-event webhooks of Tencent Cloud Chat."""

    name = "tencent"
    title = "Tencent Cloud Chat"
    deadline = 2.0
    freshness = 60.0
    unsigned = True
    defaults = Credentials("1400000001", "test-token")
    parameters = (
        Parameter("SdkAppid", "query", "key"),
        Parameter("Sign", "query", "signature"),
        Parameter("RequestTime", "query", "time"),
    )
    unknown_type: Mapping[str, Any] = {"CallbackCommand": "C2C.CallbackNotYetDocumented"}
    policies: Mapping[str, RetryPolicy] = {
        "none": RetryPolicy("one attempt; what fails is not sent again"),
        "on-timeout": RetryPolicy(
            "again after a time-out, as the console can be set; number and spacing are not "
            "documented (2 more, 5 s apart here)",
            retries={Outcome.TIMED_OUT: 2},
            spacing={Outcome.TIMED_OUT: 5.0},
        ),
    }
    sources: Mapping[str, str] = {
        "transport": "Tencent Cloud Chat, Webhook Overview: Callback Protocols",
        "signature": "Tencent Cloud Chat, Webhook Overview: Webhook authentication",
        "application": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): Notes",
        "freshness": "Tencent Cloud Chat, Webhook Configuration (China console page, 2025-07-09)",
        "ack": "Tencent Cloud Chat, Webhook Overview: common reasons for webhook failures",
        "deadline": "Tencent Cloud Chat, Webhook Overview: time-out",
        "retry": "Tencent Cloud Chat, Webhook Overview: retries",
        "duplicates": "Tencent Cloud Chat, Webhook Overview: retries",
        "order": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): MsgTime",
        "payload": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): Request fields",
        "answer": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): Response fields",
    }

    def request(
        self,
        events: Sequence[Event],
        endpoint: str,
        credentials: Credentials,
        stamp: Stamp,
        wire: Wire = DOCUMENTED,
    ) -> Request:
        """Return the signed POST of one event; ValueError for several: a webhook carries one a request."""
        (event,) = events
        command = str(event.payload.get("CallbackCommand", ""))
        return self.sign(encode(event.payload, wire), command, endpoint, credentials, stamp, wire)

    def sign(
        self, body: bytes, command: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with the query of the documents, signed when there is a token.

        RequestTime is in seconds. Without a token neither Sign nor RequestTime is sent.
        """
        signed = [("SdkAppid", credentials.app_key), ("CallbackCommand", command), *FIXED_QUERY]
        if credentials.app_secret is not None:
            time = str(stamp.millis // 1000)
            signed += [("Sign", sign(credentials.app_secret, time)), ("RequestTime", time)]
        url = with_query(endpoint, query_pairs(endpoint) + signed)
        return Request(url, tuple(self.content_type_header(wire)), body, chunked=wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the query, or None; RequestTime may be 60 s from now at most."""
        if credentials.app_secret is None:
            values = self.parameters[0].values(request)
            return None if values == [credentials.app_key] else f"SdkAppid is {values}, not {credentials.app_key!r}"
        found = self.once(request)
        if isinstance(found, str):
            return found
        if not same(found["Sign"], sign(credentials.app_secret, found["RequestTime"])):
            return "the Sign is not sha256(token + RequestTime)"
        if not same(found["SdkAppid"], credentials.app_key):
            return f"the SdkAppid is {found['SdkAppid']!r}, not {credentials.app_key!r}"
        if not _SECONDS.fullmatch(found["RequestTime"]) or (
            abs(int(found["RequestTime"]) - now_millis / 1000) > self.freshness
        ):
            return f"RequestTime {found['RequestTime']!r} is more than {self.freshness:g} s from now"
        return None

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return acked for exactly 200 with a JSON body within 2 s; its ErrorCode is not looked at."""
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        if timely.status != 200:
            return Judgement(Outcome.REFUSED, f"status {timely.status}; Tencent takes 200 with a JSON body as received")
        try:
            json.loads(timely.body)
        except (ValueError, RecursionError):
            return Judgement(Outcome.REFUSED, "status 200, but the body is not JSON, which Tencent counts as failed")
        return Judgement(Outcome.ACKED, "status 200 with a JSON body")

    def failed(self, payload: Mapping[str, Any]) -> bool:
        """Return whether the message could not be sent; the webhook comes all the same."""
        return bool(payload.get("SendMsgResult", 0))

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of RequestTime and Sign."""
        return {
            "T": "$NOW",
            "RequestTime": "$T",
            "Sign": "$(printf %s \"$SECRET$T\" | sha256sum | cut -d' ' -f1)",
        }


def sign(token: str, request_time: str) -> str:
    """Return sha256(token + RequestTime) in lower-case hex."""
    return hashlib.sha256(octets(token + request_time)).hexdigest()


PROVIDER = Tencent()
