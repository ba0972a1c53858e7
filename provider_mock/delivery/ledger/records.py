"""The values that go into a ledger and come out of it, and their form as text. No I/O.

All times are UTC milliseconds of the ledger's clock, durations are seconds. `Done` and
`Waiting` are named tuples because tens of thousands of them pass in a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

import orjson
from im_callback.provider_mock.contract import Stamp

WAITING, ACKED, DECLINED, DROPPED, PARKED = "waiting", "acked", "declined", "dropped", "parked"
STATES = (WAITING, ACKED, DECLINED, DROPPED, PARKED)
"""What a delivery can be: due at some time, received, received by the provider's rule but not by the receiver's own
words, given up, or kept for manual synchronisation."""

KEPT_DETAIL, KEPT_REQUEST, KEPT_ANSWER = 2000, 8000, 16_000
"""Characters that are kept of an attempt's detail, its request's head and its answer."""
KEPT_BODY = 65_536
"""Bytes of a body that are kept."""
_STATES = frozenset(STATES)
_INT64 = 2**63
_SECRET_REF = re.compile(r"(env|file|config):.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to accept: `payloads` are those of one request, one unless the provider batches.

    A second delivery with the `idempotency_key` of an earlier one of the same app is that earlier one.
    `plan` is a text that comes back with it: how its attempts are to be disturbed.
    """

    app: str
    event_type: str
    payloads: tuple[dict[str, Any], ...]
    due_at: int
    idempotency_key: str | None = None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call with an idempotency key, on record for as long as any of its deliveries is.

    `asked` is a text that says what it asked for; None where an earlier release has accepted it.
    Its deliveries have the ids from `first_id` to `last_id`.
    """

    app: str
    key: str
    first_id: int
    last_id: int
    asked: str | None

    @property
    def ids(self) -> range:
        """The ids of its deliveries, also of those that are pruned."""
        return range(self.first_id, self.last_id + 1)


class Waiting(NamedTuple):
    """A delivery that is due, with what its next attempt needs.

    `text` holds its payloads, a JSON array. `attempts` counts all that were made (the next one's
    number is one more), `earlier` those of them that came before it was last released or
    redelivered. `signed` is the stamp that `Done` gave, for retries that repeat the first attempt
    byte for byte.
    """

    id: int
    app: str
    event_type: str
    text: str
    attempts: int
    earlier: int
    last_outcome: str | None
    due_at: int
    signed: Stamp | None
    plan: str | None = None

    @property
    def payloads(self) -> tuple[dict[str, Any], ...]:
        """The payloads, read anew."""
        return payloads(self.text)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that count for the retry policy, abbreviated: all given as the last one."""
        return (self.last_outcome or "",) * (self.attempts - self.earlier)


class Done(NamedTuple):
    """An attempt that was made, and the delivery's `state` and `due_at` that follow from it.

    `number` counts a delivery's attempts from 1. With a `signed` stamp the ledger keeps that.
    """

    delivery_id: int
    number: int
    sent_at: int
    seconds: float
    outcome: str
    status: int | None
    rule: str
    state: str
    due_at: int
    detail: str = ""
    signed: Stamp | None = None
    request: str = ""
    """The request's first line and headers as they were sent, secrets masked."""
    body: bytes | None = None
    """The body as it was sent, where it is not the one that the payloads make."""
    answer: str = ""
    """The beginning of the answer: its headers, an empty line, what of its body is kept."""


class Failing(NamedTuple):
    """Since when nothing but failures came from an app's receiver, and since when it is switched off for that.

    UTC milliseconds of the engine's clock; None: it does not fail, it is not switched off.
    """

    since: int | None = None
    switched_off_at: int | None = None


FINE = Failing()


class Kept(NamedTuple):
    """What is known of one thing of an app's. What is `passing` is forgotten with old deliveries."""

    value: Mapping[str, Any]
    passing: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as it is on record."""

    id: int
    app: str
    event_type: str
    payloads: tuple[dict[str, Any], ...]
    state: str
    due_at: int
    attempts: int
    earlier: int
    created_at: int
    idempotency_key: str | None
    last_outcome: str | None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt as it is on record."""

    delivery_id: int
    number: int
    sent_at: int
    seconds: float
    outcome: str
    status: int | None
    rule: str
    detail: str
    request: str = ""
    body: bytes | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class StoredApp:
    """An app as it is on record.

    `secret_ref` says where its secret is found, never the secret: `env:NAME`, `file:PATH`,
    `config:NAME`, or None for an app that signs nothing.
    """

    name: str
    provider: str
    app_key: str
    secret_ref: str | None
    endpoint: str
    policy: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.secret_ref is not None and not _SECRET_REF.fullmatch(self.secret_ref):
            raise ValueError(
                f"secret_ref of the app {self.name!r} is no reference (its value is not shown: it may be a secret);"
                " give env:NAME, file:PATH or config:NAME"
            )


@dataclass(frozen=True, slots=True)
class Query:
    """Which deliveries: those for which everything that is given here holds.

    `since` (inclusive) and `until` (exclusive) are times of acceptance. `call` is the idempotency key
    of a call of the `app`, which has to be given too; `idempotency_key` is a delivery's own.
    `text` stands in the payloads, in letters of any case, or is the delivery's id.
    """

    app: str | None = None
    states: tuple[str, ...] = ()
    event_type: str | None = None
    last_outcome: str | None = None
    idempotency_key: str | None = None
    since: int | None = None
    until: int | None = None
    call: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        check_states(self.states)
        if self.call is not None and self.app is None:
            raise ValueError("a call is looked for without its app; give app too")


@dataclass(frozen=True, slots=True)
class Health:
    """How the writing goes.

    `queued` are the rows that wait to be written, `groups` and `rows` what was committed since
    the ledger was opened, `refused` the attempts that the database would not take. While writes
    fail, `error` says why and `failing_seconds` for how long.
    """

    queued: int
    groups: int
    rows: int
    refused: int
    failing_seconds: float | None
    error: str | None


NewCall = tuple[str, str, str]
"""App, idempotency key, what is asked for."""
NewRow = tuple[str, str, str, int, str | None, str | None]
"""App, event type, payloads as JSON text, due_at, idempotency key, plan."""
DoneRow = tuple[int, int, int, float, str, int | None, str, str, str, bytes | None, str, str, int, str | None]
"""The columns of an attempt (11), then the delivery's state, its due_at and its signed stamp or None."""

_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode
_ascii = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def to_text(value: Any) -> str:
    """Return a JSON value as text that a database takes; TypeError or ValueError if it is none."""
    try:
        quick = orjson.dumps(value, option=_STRICT)
    except TypeError:  # among others for half a surrogate pair, and for more than 64 bits
        pass
    else:
        # It writes null for what is no number.
        if b"null" not in quick:
            return quick.decode()
    text = _compact(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair: only its escape can be stored
            return _ascii(value)
    return text


def to_row(new: NewDelivery) -> NewRow:
    """Return what is stored of a new delivery; ValueError, naming the field, if that cannot be."""
    if not new.payloads:
        raise ValueError("a delivery has no payload; give it at least one")
    _plain("app", new.app)
    _plain("event_type", new.event_type)
    if new.idempotency_key is not None:
        _plain("idempotency_key", new.idempotency_key)
    if not -_INT64 <= new.due_at < _INT64:
        raise ValueError(f"due_at is {new.due_at}; give UTC milliseconds")
    try:
        payload = to_text(new.payloads)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a payload is not JSON: {error}; give what JSON can express") from error
    if new.plan is not None:
        _plain("plan", new.plan)
    return (new.app, new.event_type, payload, new.due_at, new.idempotency_key, new.plan)


def done_row(done: Done) -> DoneRow:
    """Return what is stored of an attempt, long texts cut; where it cannot be stored as it is, what comes nearest."""
    try:
        if _fits(done):
            return _row(done)
    except (TypeError, ValueError, AttributeError, OverflowError):  # of another type than it should be
        pass
    return _row(_fitting(done))


def _row(done: Done) -> DoneRow:
    body = done.body
    if body is not None and len(body) > KEPT_BODY:
        mark = f"\n[cut: {len(body)} bytes were sent]".encode()
        body = body[: KEPT_BODY - len(mark)] + mark
    return (
        done.delivery_id,
        done.number,
        done.sent_at,
        done.seconds,
        storable(done.outcome),
        done.status,
        storable(done.rule if len(done.rule) <= KEPT_DETAIL else _cut(done.rule, KEPT_DETAIL)),
        storable(done.detail if len(done.detail) <= KEPT_DETAIL else _cut(done.detail, KEPT_DETAIL)),
        storable(done.request if len(done.request) <= KEPT_REQUEST else _cut(done.request, KEPT_REQUEST)),
        body,
        storable(done.answer if len(done.answer) <= KEPT_ANSWER else _cut(done.answer, KEPT_ANSWER)),
        done.state,
        done.due_at,
        None if done.signed is None else to_text([done.signed.millis, done.signed.nonce]),
    )


def without_words(row: DoneRow) -> DoneRow:
    """Return an attempt's row with nothing in it that somebody else wrote, for a database that refuses it."""
    return (*row[:6], "our own error: the database refused what was to be recorded", "", "", None, "", *row[11:])


def _fits(done: Done) -> bool:
    return (
        done.state in _STATES
        and 0 < done.number < 2**31
        and isfinite(done.seconds)
        and -_INT64 <= done.due_at < _INT64
        and -_INT64 <= done.sent_at < _INT64
        and 0 < done.delivery_id < _INT64
        and (done.status is None or -(2**31) <= done.status < 2**31)
        and (done.signed is None or storable(done.signed.nonce) == done.signed.nonce)
    )


def _fitting(done: Done) -> Done:
    """Return an attempt with its numbers brought into their ranges; of a state that is none, dropped."""
    state = done.state if done.state in STATES else DROPPED
    return Done(
        _within(done.delivery_id, 0, _INT64 - 1),
        _within(done.number, 1, 2**31 - 1),
        _within(done.sent_at, -_INT64, _INT64 - 1),
        float(done.seconds) if isinstance(done.seconds, int | float) and isfinite(done.seconds) else 0.0,
        str(done.outcome),
        done.status if isinstance(done.status, int) and -(2**31) <= done.status < 2**31 else None,
        str(done.rule),
        state,
        _within(done.due_at, -_INT64, _INT64 - 1),
        f"our own error, recorded as it could be: {tuple(done[:9])!s:.200}; {done.detail}",
        None,
        str(done.request),
        done.body if isinstance(done.body, bytes) else None,
        str(done.answer),
    )


def _within(value: object, least: int, most: int) -> int:
    return min(max(value, least), most) if isinstance(value, int) else max(least, 0)


def _cut(text: str, most: int) -> str:
    mark = f"… [cut: {len(text)} characters]"
    return text[: most - len(mark)] + mark


def check_states(states: Sequence[str]) -> None:
    """Raise ValueError if one of them is no state."""
    for state in states:
        if state not in _STATES:
            raise ValueError(f"{state!r} is no state of a delivery; there are {', '.join(STATES)}")


def storable(text: str) -> str:
    """Return a text as every database takes it: what UTF-8 or PostgreSQL cannot express is escaped."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def stamp(text: str | None) -> Stamp | None:
    """Return the stamp that a text stands for."""
    return None if text is None else Stamp(*json.loads(text))


def payloads(text: str) -> tuple[dict[str, Any], ...]:
    """Return the payloads that a text stands for."""
    return tuple(json.loads(text))


@lru_cache(maxsize=4096)
def _plain(field_name: str, text: str) -> None:
    if storable(text) != text:
        raise ValueError(f"{field_name} {text!r} holds a character that cannot be stored; leave it out")
