"""The webhooks of Tencent's kits for calls, rooms and live rooms, each with an address of its own.

Rules without a note are from "Webhooks Overview" of the live kit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Event,
    Feed,
    Level,
    Parameter,
    Request,
    RetryPolicy,
    Stamp,
    Written,
    query_pairs,
    with_query,
)
from im_callback.provider_mock.providers.tencent.after import Told
from im_callback.provider_mock.providers.tencent.before import Asked
from im_callback.provider_mock.providers.tencent.signing import OVERVIEW, SHARED_SOURCES, TokenSigned
from im_callback.provider_mock.wire import NamedWire, Wire

LIVE = "Tencent RTC, Webhooks Overview of the live kit (2025-05-29)"
LIVE_SOURCES: Mapping[str, str] = {
    **SHARED_SOURCES,
    "transport": f"{LIVE}: Webhook Protocol",
    "signature": f"{LIVE}: Security Considerations",
    "application": "Tencent RTC, Live Webhooks: Notes of each page",
    "freshness": f"{LIVE}: Security Considerations",
}
OVERVIEW_NAMES = NamedWire(
    Wire(legacy_names=True), "the query as the live kit's overview names it: SdkAppId and WebhookCommand"
)
OTHER_NAMES = {"SdkAppid": "SdkAppId", "CallbackCommand": "WebhookCommand"}


class Overviewed(TokenSigned):
    """A feed whose overview names two parameters otherwise than the pages of its commands, which are followed."""

    documented_wires: ClassVar[Mapping[str, NamedWire]] = {"overview-names": OVERVIEW_NAMES}

    def parameters_in(self, wire: Wire) -> tuple[Parameter, ...]:
        """Return the parameters; the overview writes SdkAppId, the pages of the commands SdkAppid."""
        return _renamed(self.parameters, wire)

    def context_in(self, wire: Wire) -> tuple[Parameter, ...]:
        """Return what stands beside; the overview calls the command WebhookCommand."""
        return _renamed(self.context, wire)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the query, whichever names it has."""
        key = self.parameters[0]
        other = replace(key, name=OTHER_NAMES[key.name])
        if (values := other.values(request)) and not key.values(request):
            request = key.given(other.given(request), *values)
        return super().verify(request, credentials, now_millis)


def _renamed(parameters: tuple[Parameter, ...], wire: Wire) -> tuple[Parameter, ...]:
    if not wire.legacy_names:
        return parameters
    return tuple(replace(one, name=OTHER_NAMES.get(one.name, one.name)) for one in parameters)


class Live(Overviewed, Told):
    """What has happened in live rooms."""

    name = "live"
    title = "Live room webhooks"
    unknown_type: Mapping[str, Any] = {"CallbackCommand": "Live.CallbackAfterNotYetDocumented"}
    sources: Mapping[str, str] = {
        **LIVE_SOURCES,
        "order": "Tencent RTC, Live Webhooks: Request fields of each page",
        "payload": "Tencent RTC, Live Webhooks: Request fields of each page",
        "answer": "Tencent RTC, Live Webhooks: Response fields of each page",
    }


class LiveBefore(Overviewed, Asked):
    """Gifts, before they are sent."""

    name = "live-before"
    title = "Live room webhooks that ask"
    unknown_type: Mapping[str, Any] = {"CallbackCommand": "Live.CallbackBeforeNotYetDocumented"}
    sources: Mapping[str, str] = {
        **LIVE_SOURCES,
        "order": "Tencent RTC, Live Webhooks, Before a Gift Is Sent: Request fields",
        "payload": "Tencent RTC, Live Webhooks, Before a Gift Is Sent: Request fields",
        "answer": "Tencent RTC, Live Webhooks, Before a Gift Is Sent: Response fields",
        "decision": "Tencent RTC, Live Webhooks, Before a Gift Is Sent: Response fields",
    }


class Room(Told):
    """What has happened in rooms of the room kit."""

    name = "room"
    title = "Room webhooks"
    unknown_type: Mapping[str, Any] = {"CallbackCommand": "Room.CallbackAfterNotYetDocumented"}
    sources: Mapping[str, str] = {
        **SHARED_SOURCES,
        "application": "Tencent RTC, Room Webhooks: Notes of each page",
        "order": "Tencent RTC, Room Webhooks: Request fields of each page",
        "payload": "Tencent RTC, Room Webhooks: Request fields of each page",
        "answer": "Tencent RTC, Room Webhooks: Response fields of each page",
    }


CALLS = "Tencent RTC, Call Event Callback (2024-04-18)"
OF_NO_ROLE = ("invite_user", "join_in_group_call")
OUR_CODES = ("call-event", "call-status")
CALL_SAID = {"contenttype": "json", "clientip": "127.0.0.1", "optplatform": "iOS"}


class Call(Feed):
    """Calls: names in lower case, a command in the query alone, and nothing signed.

    Deadline and acknowledgement are not documented; they are taken from the chat's webhooks.
    """

    name = "call"
    title = "Call webhooks"
    deadline = 2.0
    ack_rule = "200 is taken as received (as of the chat's webhooks; the page on calls does not say)"
    parameters = (Parameter("sdkappid", "query", "key"),)
    context = (
        Parameter("command", "query", "code"),
        Parameter("contenttype", "query", "context", known=("json",)),
        Parameter("clientip", "query", "context", known=("127.0.0.1",)),
        Parameter("optplatform", "query", "context", known=("iOS", "Android", "Web", "miniProgram")),
    )
    content_types = ("application/json;charset=utf-8", None)
    policies: Mapping[str, RetryPolicy] = {
        "none": RetryPolicy("one attempt; the page on calls does not speak of another"),
    }
    levels: Mapping[str, Level] = {"application": "must", "deadline": "should"}
    sources: Mapping[str, str] = {
        "transport": f"{CALLS}: Request URL",
        "signature": f"{CALLS}: Request URL, which has none",
        "application": f"{CALLS}: Notes",
        "ack": f"{OVERVIEW}: common reasons for webhook failures",
        "deadline": f"{OVERVIEW}: time-out",
        "retry": f"{OVERVIEW}: retries",
        "duplicates": f"{OVERVIEW}: retries",
        "order": f"{CALLS}: Sample request, EventTime",
        "payload": f"{CALLS}: Request fields",
        "answer": f"{CALLS}: Sample response",
    }

    def code_of(self, events: Sequence[Event] | Written) -> str:
        """Return the command: the role and the event, or the result of the call."""
        return _command(json.loads(events.text)[0] if isinstance(events, Written) else events[0].payload)

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with the query of the documents; nothing is signed.

        Where `code` is that of the event type, which is ours, the body tells the command.
        """
        del stamp
        command, *said = self.context
        told = [("sdkappid", credentials.app_key), (command.name, _told_by(body) if code in OUR_CODES else code)]
        told += [(one.name, CALL_SAID[one.name]) for one in said]
        url = with_query(endpoint, query_pairs(endpoint) + told)
        return Request(url, tuple(self.content_type_header(wire)), body, chunked=wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return whether the application is another one, which is all that can be told."""
        del now_millis
        values = self.parameters[0].values(request)
        return None if values == [credentials.app_key] else f"sdkappid is {values}, not {credentials.app_key!r}"

    def shell(self) -> Mapping[str, str]:
        """Return the time alone: nothing is signed."""
        return {"T": "$NOW"}


def _command(payload: Mapping[str, Any]) -> str:
    event = payload.get("Event")
    if event is None:
        return str(payload.get("CallResult", ""))
    return str(event) if event in OF_NO_ROLE else f"{payload.get('Role', '')}_{event}"


def _told_by(body: bytes) -> str:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return _command(payload) if isinstance(payload, dict) else ""
