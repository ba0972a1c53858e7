"""What goes into the service and comes out of it: plain values. No secret comes out.

Times are UTC milliseconds. Those of deliveries are of the service's clock, which can run faster
than the time of day or be moved; those of traffic runs are true ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from provider_mock.delivery.ledger import STATES

OPTIONS = ("signed_afresh", "spacing_seconds", "retries", "backlog", "pause_after", "pause_seconds")
"""The options of a policy that an app can override.

`signed_afresh` (bool): each retry is signed with its own time and nonce, or repeats the first byte for byte.
`retries` (int >= 0), `spacing_seconds` (>= 0): for every outcome that the policy retries.
`backlog` (int >= 0): deliveries that can be parked. `pause_after` (int >= 0, 0 never), `pause_seconds` (>= 0).
"""
MOST_EVENTS = 1000
"""Events that one call accepts at most."""
FASTEST = 10_000.0
"""Deliveries per second that a traffic run is asked for at most."""

Source = Literal["config", "api"]
RunStatus = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class AppSettings:
    """An app as it is asked for.

    Of `app_secret` (the secret itself) and `secret_ref` (`env:NAME`, `file:PATH`) at most one is
    given. With neither, an app that exists keeps the one it has, and a new one takes the provider's
    test secret; the secret `none` means that nothing is signed, where the provider can be set so.
    Without `app_key` it is the provider's test key. `policy` None is the provider's first one.
    `headers` None: those it has, or none. `faults` None: those it has, or none.
    """

    provider: str
    endpoint: str
    app_key: str | None = None
    app_secret: str | None = field(default=None, repr=False)
    secret_ref: str | None = None
    policy: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 64
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)
    faults: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AppView:
    """An app as it is shown.

    `secret` says where the secret comes from: `env:NAME`, `file:PATH`, `test` (the provider's test
    secret), `none` (nothing is signed) or `config` (written in the configuration file). Of headers
    only the names are shown, of a proxy no password. An app that is not `ready` accepts deliveries
    and keeps them waiting; `not_ready` says what to do.
    """

    name: str
    provider: str
    endpoint: str
    app_key: str
    secret: str
    policy: str
    options: Mapping[str, Any]
    concurrency: int
    headers: tuple[str, ...]
    ca_file: str | None
    proxy: str | None
    faults: tuple[str, ...]
    source: Source
    ready: bool
    not_ready: str | None
    in_flight: int
    paused_until: int | None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to accept: one delivery.

    `type` is an event type of the app's provider, with or without the provider's name in front.
    `payload` is an object; for a provider that batches, a list of them is one delivery with several
    events. None: a documented sample with identities of its own, or a made-up one where there is none.
    """

    type: str
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted and is on disk: the deliveries' ids, one for each event, in order.

    `repeated`: these are the deliveries of an earlier call with the same idempotency key, and
    nothing was added. `seed` is what the faults and made-up payloads were drawn from.
    """

    deliveries: tuple[int, ...]
    seed: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class FaultAttribute:
    """An attribute of a fault: its name as it is typed, its default, what it means and, if limited, its values."""

    name: str
    default: bool | int | float | str
    meaning: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A fault of the catalogue: its name, one sentence, and what can be set."""

    name: str
    sentence: str
    attributes: tuple[FaultAttribute, ...]


@dataclass(frozen=True, slots=True)
class ClockView:
    """The service's clock: its time, the true time, and how many of its seconds pass in a true one."""

    now: int
    wall: int
    scale: float


@dataclass(frozen=True, slots=True)
class RunView:
    """A traffic run.

    `accepted` of `total` deliveries are on disk so far. `states` counts those by what became of
    them (waiting, acked, dropped, parked), before anybody redelivered or released them. `ends_at` is when the last one is
    to be accepted, `ended_at` when the run was over; what was accepted is delivered in any case.
    """

    id: int
    app: str
    rate: float
    duration: float
    seed: int
    faults: tuple[str, ...]
    status: RunStatus
    started_at: int
    ends_at: int
    ended_at: int | None
    total: int
    accepted: int
    states: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the service can accept and deliver; `reasons` says why not, one sentence each."""

    ready: bool
    reasons: Sequence[str] = ()
