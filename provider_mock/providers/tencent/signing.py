"""What Tencent Cloud Chat's webhooks share: a token over the time alone, 2 seconds, one event a request.

Rules without a note are from "Webhook Overview".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Event,
    Feed,
    Level,
    NoReply,
    Parameter,
    Reply,
    Request,
    Stamp,
    Written,
    octets,
    query_pairs,
    same,
    with_query,
)
from im_callback.provider_mock.wire import Wire

_SECONDS = re.compile(r"[0-9]{1,15}")
PLATFORMS = ("RESTAPI", "Web", "Android", "iOS", "IOS", "Windows", "Mac", "macOS", "iPad", "Unknown")
BARE_CONTEXT = (
    Parameter("CallbackCommand", "query", "code"),
    Parameter("contenttype", "query", "context", known=("json", "JSON")),
)
CONTEXT = (
    *BARE_CONTEXT,
    Parameter("ClientIP", "query", "context", known=("127.0.0.1",), optional=True),
    Parameter("OptPlatform", "query", "context", known=PLATFORMS, optional=True),
)
SAID = {"contenttype": "json", "ClientIP": "127.0.0.1", "OptPlatform": "iOS"}
"""What requests say about where they come from, unless a check tries something else."""
OVERVIEW = "Tencent Cloud Chat, Webhook Overview"
CONSOLE = "Tencent Cloud Chat, Webhook Configuration (China console page, 2025-07-09)"
SHARED_SOURCES: Mapping[str, str] = {
    "transport": f"{OVERVIEW}: Callback Protocols",
    "signature": f"{OVERVIEW}: Webhook authentication",
    "application": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): Notes",
    "freshness": CONSOLE,
    "ack": f"{OVERVIEW}: common reasons for webhook failures",
    "deadline": f"{OVERVIEW}: time-out",
    "retry": f"{OVERVIEW}: retries",
    "duplicates": f"{OVERVIEW}: retries",
}
"""What holds for every webhook of the console."""


class TokenSigned(Feed):
    """A feed of Tencent's: signed with the token that is set in the console, if one is."""

    deadline = 2.0
    freshness: float = 60.0
    parameters = (
        Parameter("SdkAppid", "query", "key"),
        Parameter("Sign", "query", "signature"),
        Parameter("RequestTime", "query", "time", unit="s"),
    )
    context: tuple[Parameter, ...] = CONTEXT
    covers = frozenset({"time"})
    # No page of Tencent's documents a Content-Type; their raw sample has none.
    content_types = ("application/json;charset=utf-8", None)
    unknown_type: Mapping[str, Any] = {"CallbackCommand": "C2C.CallbackNotYetDocumented"}
    levels: Mapping[str, Level] = {"application": "must", "freshness": "should"}

    def code_of(self, events: Sequence[Event] | Written) -> str:
        """Return the command that the payload names, for the URL names it too."""
        if (
            not isinstance(events, Written)
            and events
            and (command := events[0].payload.get("CallbackCommand")) is not None
        ):
            return str(command)
        return super().code_of(events)

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with the query of the documents, signed when there is a token.

        RequestTime is in seconds. Without a token neither Sign nor RequestTime is sent.
        """
        command, *said = self.context_in(wire)
        signed = [(self.parameter("key", wire).name, credentials.app_key), (command.name, code)]
        signed += [(one.name, SAID[one.name]) for one in said]
        if credentials.app_secret is not None:
            time = str(stamp.millis // 1000)
            signed += [("Sign", sign(credentials.app_secret, time)), ("RequestTime", time)]
        url = with_query(endpoint, query_pairs(endpoint) + signed)
        return Request(url, tuple(self.content_type_header(wire)), body, chunked=wire.chunked)

    def context_in(self, wire: Wire) -> tuple[Parameter, ...]:
        """Return what stands beside the signature, the command first, as this wire spells it."""
        del wire
        return self.context

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
        if problem := self.other_app(found["SdkAppid"], credentials):
            return problem
        if not _SECONDS.fullmatch(found["RequestTime"]) or (
            abs(int(found["RequestTime"]) - now_millis / 1000) > self.freshness
        ):
            return f"RequestTime {found['RequestTime']!r} is more than {self.freshness:g} s from now"
        return None

    def says_no(self, reply: Reply | NoReply) -> bool:
        """Return whether it is 200 with ActionStatus FAIL and an ErrorCode other than 0."""
        if isinstance(reply, NoReply) or reply.status != 200:
            return False
        try:
            answer = json.loads(reply.body)
        except (ValueError, RecursionError):
            return False
        if not isinstance(answer, dict) or answer.get("ActionStatus") != "FAIL":
            return False
        code = answer.get("ErrorCode")
        return isinstance(code, int) and not isinstance(code, bool) and code != 0

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
