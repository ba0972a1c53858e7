"""The plain values of a contract: events, credentials, requests, replies, and what they come to."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal, NamedTuple

MASK = "***"
TELLING = 4
"""Characters of a secret that give it away."""
NO_SECRET = "none"
"""What is given as the secret where nothing is signed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: the name of its event type and its payload."""

    type: str
    payload: dict[str, Any]


class Written(NamedTuple):
    """The events of one delivery, all of one type, whose payloads are encoded already: a JSON array, compact, unescaped.

    A feed whose body is that text, or what stands in it, need not read it and write it again.
    """

    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """The application's key and the secret shared with the provider.

    `app_secret` is None where the provider is told to send no signature (Tencent without
    a callback token). `earlier` are secrets of before that requests are still signed with as well,
    while a secret is changed; `previous` is what some of them may be signed with instead. None of it shows in a `repr`.
    """

    app_key: str
    app_secret: str | None = field(repr=False)
    earlier: tuple[str, ...] = field(default=(), repr=False)
    previous: Credentials | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets that are signed with, the one of today first."""
        own = () if self.app_secret is None else (self.app_secret,)
        return (*own, *self.earlier, *(() if self.previous is None else self.previous.secrets))

    @property
    def swapped(self) -> Credentials:
        """The same with the previous secret in the place of the present one, and the other way round."""
        assert self.previous is not None
        return replace(self.previous, app_key=self.app_key, previous=replace(self, previous=None))

    def masked(self, text: str) -> str:
        """Return a text that somebody else wrote without secrets, or the beginning of one where the text is cut off."""
        for secret in self.secrets:
            text = _masked(text, secret)
        return text


class Request(NamedTuple):
    """One HTTP request, as bytes on the wire: headers in the order and case in which they go out."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"
    chunked: bool = False


class Reply(NamedTuple):
    """What the receiver answered, and after how many seconds."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever the case of its name."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class NoReply:
    """No complete answer: the deadline passed, or the connection failed."""

    kind: Literal["timed-out", "unreachable"]
    detail: str
    seconds: float


class Outcome(Enum):
    """What one attempt came to, in the provider's eyes. A time-out may still have been received.

    What is declined the provider takes as received, but the reply's own words say that it was not.
    """

    ACKED = "acked"
    DECLINED = "declined"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"


TAKEN = frozenset({Outcome.ACKED, Outcome.DECLINED})
"""What the provider takes as received."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome and, in one clause, the rule that decided it."""

    outcome: Outcome
    rule: str


class Tried(NamedTuple):
    """An attempt that was made: its outcome, and its reply where that is still known."""

    outcome: Outcome
    reply: Reply | NoReply | None = None


class Stamp(NamedTuple):
    """What one attempt is made with: its moment in UTC milliseconds, a nonce, and where it stands in its delivery.

    `delivery` is the delivery's id, the same for all its attempts; `number` counts them from 1, and
    `before` is what came of the one before.
    """

    millis: int
    nonce: str
    delivery: str = "delivery"
    number: int = 1
    before: Tried | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What an answer decides: in a word (`allow`, `refuse`, `modify`) and, comparable, by what it does.

    `said` holds the code and what takes the place of what was sent. What an answer only hands on, such as words
    for people and data of the team's own, is in `told`: it may be another one each time.
    """

    word: str
    said: str
    told: str = ""


def octets(text: str) -> bytes:
    """Return a text as UTF-8; bytes that were none when it was read are restored."""
    return text.encode("utf-8", "surrogateescape")


def same(given: str, due: str) -> bool:
    """Return whether two texts are equal, in constant time."""
    return hmac.compare_digest(octets(given), octets(due))


def type_of(events: Sequence[Event] | Written) -> str:
    """Return the event type of a delivery: of the first of its events."""
    return events.type if isinstance(events, Written) else events[0].type


def _masked(text: str, secret: str) -> str:
    if len(secret) < TELLING:
        return text
    text = text.replace(secret, MASK)
    for size in range(len(secret) - 1, TELLING - 1, -1):
        if text.endswith(f"{secret[:size]}…"):
            return f"{text[: -size - 1]}{MASK}…"
    return text
