"""What goes into the service and comes out of it: plain values. No secret comes out.

Times are UTC milliseconds. Those of deliveries are of the service's clock, which can run faster
than the time of day or be moved; those of traffic runs are true ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from im_callback.provider_mock.addresses import Network
from im_callback.provider_mock.contract import Outcome
from im_callback.provider_mock.delivery.engine import NOT_JUDGED, NOT_SENT
from im_callback.provider_mock.delivery.ledger import STATES, AttemptRecord
from im_callback.provider_mock.server.exchange import Answered, Sent
from im_callback.provider_mock.server.options import AppSettings

MOST_EVENTS = 1000
"""Events that one call accepts at most."""

OUTCOMES = (*(outcome.value for outcome in Outcome), NOT_SENT, NOT_JUDGED)
"""What an attempt can come to. Those that are not sent are no requests; those not judged were answered, but the provider's
code failed: both are our own errors."""

Source = Literal["config", "api"]
RunStatus = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows, in the configuration file.

    Of apps that come through the API: `secret_folder` (absolute, without ..) is where files lie that
    their secret can be in (None: nowhere), `secret_variables` are the environment variables that it can be in. Of all apps:
    `allow_addresses` are link-local and metadata addresses that are called all the same.
    """

    secret_folder: Path | None = None
    secret_variables: frozenset[str] = frozenset()
    allow_addresses: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class AppView:
    """An app as it is shown.

    `settings` are those it has: with the key and the policy that the provider gives, and the faults that stand now.
    No secret is in them: of headers the names are right, a proxy is without its password. `secret` says where the
    secret comes from: `env:NAME`, `file:PATH`, `test` (the provider's test secret), `none` (nothing is signed) or
    `config` (written in the configuration file); `previous_secret_ref` says the same of the previous one (None: there is
    none), which holds until the settings' `overlap_until`. An app that is not `ready` accepts deliveries and keeps them waiting;
    `not_ready` says what to do. So does one that was switched off after `give_up_hours`.
    """

    name: str
    settings: AppSettings
    secret: str
    previous_secret_ref: str | None
    source: Source
    ready: bool
    not_ready: str | None
    in_flight: int
    paused_until: int | None
    switched_off_at: int | None
    delivered_by: str | None

    @property
    def faults(self) -> tuple[str, ...]:
        """The standing faults."""
        return self.settings.faults or ()


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
    nothing was added; `gone` are those of them that were deleted since, because they were old.
    `seed` is what the faults and made-up payloads were drawn from.
    """

    deliveries: tuple[int, ...]
    seed: int
    repeated: bool = False
    gone: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt as it is on record, what was sent (None: nothing, or not known) and what was answered."""

    record: AttemptRecord
    sent: Sent | None
    answered: Answered | None


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
    """A traffic run. `feed` is the one that it was asked for; None: those that have an address.

    `accepted` of `total` deliveries are on disk so far. `states` counts those by what became of
    them (waiting, acked, declined, dropped, parked), before anybody redelivered or released them. `ends_at` is when the last one is
    to be accepted, `ended_at` when the run was over; what was accepted is delivered in any case.
    """

    id: int
    app: str
    rate: float
    duration: float
    seed: int
    feed: str | None
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
