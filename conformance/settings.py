"""What the user asked for, as the run takes it: plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any

from im_callback.conformance.explore.finding import Recorded
from im_callback.conformance.verdict import Level
from im_callback.provider_mock.contract import DOCUMENTED, Credentials, Feed, Provider
from im_callback.provider_mock.traffic.identity import tag_of
from im_callback.provider_mock.wire import Wire


@dataclass(frozen=True, slots=True)
class Fixed:
    """A field that every event carries: of one event type, or of all that have it (None)."""

    type: str | None
    pointer: str
    value: Any


def _own() -> int:
    # Not from the seed: what an earlier run left in the store must mean nothing to this one.
    return SystemRandom().getrandbits(64)


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    `settle` is how many seconds effects may take to appear. `handles` are event types, or patterns of
    their variants, as typed. `accounts` gives the name of the n-th account of made-up events. `rate` is
    how many deliveries a second may be sent. `wire` is how the whole run speaks. With `unordered` the
    records come in no order that the application shows. `dedupe_distance` is after how many other deliveries one
    is repeated.
    """

    url: str
    provider: Provider
    credentials: Credentials
    seed: int
    settle: float = 5.0
    level: Level = Level.SHOULD
    handles: tuple[str, ...] | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    allow_incomplete: bool = False
    baseline: Mapping[str, str] = field(default_factory=dict)
    accounts: Callable[[int], str] | None = None
    fixed: tuple[Fixed, ...] = ()
    rate: float | None = None
    wire: Wire = DOCUMENTED
    unordered: bool = False
    explore: float | None = None
    """For how many seconds failing sequences are searched for; None: not at all."""
    replay: Recorded | None = None
    """The recorded sequence that is played, and nothing else."""
    findings: Path = field(default_factory=Path)
    """Where what is found is written."""
    pinned: frozenset[str] | None = None
    """The checks, as family.slug, that can fail the run, of those that releases list; None: all."""
    dedupe_distance: int = 1000
    command: str | None = field(default=None, repr=False)
    """The shell text that starts the receiver."""
    wait: float | None = None
    """For how many seconds the receiver may come up; None: not at all, or as usual for one that we start."""
    downstream: tuple[str, int] | None = None
    """Where the receiver's own store listens; we listen in front of it, at `downstream_port` if that is not 0."""
    downstream_port: int = 0
    folder: Path | None = None
    """Where the command runs; None: where the gate does."""
    feeds: tuple[Feed, ...] = ()
    """Those that arrive at the address; none: the provider's usual ones."""
    notes: tuple[str, ...] = ()
    """What the user should know about what was asked for."""
    run: int = field(default_factory=_own)
    """What tells the events of this run from those of every other."""

    @property
    def tag(self) -> str:
        """What the identifiers of this run begin or end with, as far as their types allow."""
        return tag_of(self.run)

    @property
    def meeting(self) -> bool:
        """Whether what one check delivers may share accounts or fields with what another does."""
        return bool(self.fixed) or self.accounts is not None

    @property
    def arriving(self) -> tuple[Feed, ...]:
        """The feeds that arrive at the address."""
        return self.feeds or self.provider.usual_feeds
