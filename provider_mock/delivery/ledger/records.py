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

from provider_mock.contract import Stamp

WAITING, ACKED, DROPPED, PARKED = "waiting", "acked", "dropped", "parked"
STATES = (WAITING, ACKED, DROPPED, PARKED)
"""What a delivery can be: due at some time, received, given up, or kept for manual synchronisation."""

KEPT_DETAIL = 2000
"""Characters of an attempt's detail that are kept."""
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

    `since` (inclusive) and `until` (exclusive) are times of acceptance.
    """

    app: str | None = None
    states: tuple[str, ...] = ()
    event_type: str | None = None
    last_outcome: str | None = None
    idempotency_key: str | None = None
    since: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        check_states(self.states)


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


NewRow = tuple[str, str, str, int, str | None, str | None]
"""App, event type, payloads as JSON text, due_at, idempotency key, plan."""

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode
_ascii = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def to_text(value: Any) -> str:
    """Return a JSON value as text that a database takes; ValueError if it is none."""
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


def check_done(done: Done) -> None:
    """Raise ValueError, naming the field, if an attempt cannot be stored."""
    if done.state not in _STATES:
        check_states((done.state,))
    if not (
        0 < done.number < 2**31
        and isfinite(done.seconds)
        and -_INT64 <= done.due_at < _INT64
        and -_INT64 <= done.sent_at < _INT64
        and 0 < done.delivery_id < _INT64
        and (done.status is None or -(2**31) <= done.status < 2**31)
    ):
        raise ValueError(f"an attempt's numbers are out of range: {done!r}; number counts from 1, times are finite")


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


def stamp_text(stamp: Stamp | None) -> str | None:
    """Return a stamp as JSON text."""
    return None if stamp is None else to_text([stamp.millis, stamp.nonce])


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
