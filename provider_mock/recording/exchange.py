"""One request that passed, with its reply: as plain data, and as a line of a recording."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from im_callback.provider_mock.contract import NoReply, Reply, Request

VERSION = 1
"""Of what a line says; a reader takes this one."""


class NoExchange(ValueError):
    """A line is none of a recording; the text says why."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it. Times are in UTC milliseconds.

    `provider` and `feed` (its short name) are None where the request is none of a provider that is known. `lost` says
    why there is no reply, `broken` why the request is not whole. `outcome` is what the provider made of it. With
    `scrubbed`, stand-ins take the place of people's data.
    """

    request: Request
    sent_at: int
    reply: Reply | None = None
    replied_at: int | None = None
    lost: str = ""
    broken: str = ""
    provider: str | None = None
    feed: str | None = None
    event_types: tuple[str | None, ...] = ()
    outcome: str | None = None
    scrubbed: bool = False

    @property
    def ended_at(self) -> int:
        """When the reply was there, or when it was clear that there would be none."""
        return self.sent_at if self.replied_at is None else self.replied_at

    @property
    def answer(self) -> Reply | NoReply:
        """What the receiver answered, or that it did not."""
        if self.reply is not None:
            return self.reply
        late = self.lost.startswith(PROVIDER_LEFT)
        return NoReply("timed-out" if late else "unreachable", self.lost, (self.ended_at - self.sent_at) / 1000)


PROVIDER_LEFT = "the provider closed the connection"
"""How `lost` begins where it was not the receiver."""


def to_line(exchange: Exchange) -> str:
    """Return an exchange as JSON, without a line break."""
    request, reply = exchange.request, exchange.reply
    told = {
        "recorded": VERSION,
        "provider": exchange.provider,
        "feed": exchange.feed,
        "event_types": list(exchange.event_types),
        "outcome": exchange.outcome,
        "scrubbed": exchange.scrubbed,
        "sent_at": exchange.sent_at,
        "replied_at": exchange.replied_at,
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": _named(request.headers),
            "chunked": request.chunked,
            **_content(request.body),
        },
        "reply": None
        if reply is None
        else {"status": reply.status, "headers": _named(reply.headers), **_content(reply.body)},
        "lost": exchange.lost or None,
        "broken": exchange.broken or None,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def from_line(text: str) -> Exchange:
    """Return the exchange of a line; raises `NoExchange`."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise NoExchange("it is no JSON") from None
    if not isinstance(told, dict) or "recorded" not in told:
        raise NoExchange("it is no line of a recording")
    if told["recorded"] != VERSION:
        raise NoExchange(f"it was written by another release (version {told['recorded']!r}, this one reads {VERSION})")
    try:
        request = told["request"]
        sent_at, replied_at = int(told["sent_at"]), told["replied_at"]
        reply = None
        if told["reply"] is not None:
            seconds = (int(replied_at) - sent_at) / 1000
            answer = told["reply"]
            reply = Reply(int(answer["status"]), _pairs(answer["headers"]), _bytes(answer), seconds)
        return Exchange(
            Request(request["url"], _pairs(request["headers"]), _bytes(request), request["method"], request["chunked"]),
            sent_at,
            reply,
            None if replied_at is None else int(replied_at),
            lost=told["lost"] or "",
            broken=told["broken"] or "",
            provider=told["provider"],
            feed=told["feed"],
            event_types=tuple(told["event_types"]),
            outcome=told["outcome"],
            scrubbed=bool(told["scrubbed"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NoExchange(f"it is no line of a recording ({type(error).__name__}: {error})") from None


def _named(headers: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _pairs(headers: list[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(one["name"]), str(one["value"])) for one in headers)


def _content(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode(), "body_encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "body_encoding": "base64"}


def _bytes(told: Mapping[str, Any]) -> bytes:
    text = str(told["body"])
    return base64.b64decode(text, validate=True) if told["body_encoding"] == "base64" else text.encode()
