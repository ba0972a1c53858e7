"""What to send, when, over which connection and with which disturbance: plain data.

A plan is a tuple of steps; one step is one HTTP request. Steps belong together in three ways:

* **Deliveries.** `index` says which delivery of the plan's input a step carries.
* **Copies.** The copies of a delivery go their own ways, side by side. The attempts of one copy
  follow one another: an attempt starts `at` seconds after the one before it has ended.
* **Turns.** First attempts start `at` seconds after the start of their turn. A turn starts when
  the copies of the turn before it have run through, but for those that are not `awaited`.

So `plan(3)` sends three deliveries one after the other (three turns), and `plan(3, rate=10)`
sends one every tenth of a second, whatever becomes of them (one turn).

Two rules that every change must keep: nothing here reads a clock, draws a random number or
performs I/O; and each copy has its attempts numbered from 0 without a gap, in the plan's order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.wire import Wire


@dataclass(frozen=True, slots=True)
class Transport:
    """What is done to one request on the socket. The default is nothing; everything can be combined."""

    slow_start: float = 0.0
    """Seconds between the connection and the first byte."""
    trickle_bytes: int | None = None
    """The body goes out in pieces of so many bytes."""
    trickle_seconds: float = 0.0
    """Seconds between two pieces."""
    trickle_headers: bool = False
    """Whether the headers go out in pieces too."""
    body_limit: int | None = None
    """Only so many bytes of the body go out; below 0: all but so many."""
    length_error: int = 0
    """Added to the length that the headers promise."""
    half_close: bool = False
    """After the request the sending side is closed; the reply is still read."""
    read_reply: bool = True
    """If not, the connection is closed as soon as the reply begins, without reading it."""
    silent: bool = False
    """After what it sends, the connection stays open until the deadline, and no reply is looked at."""
    deadline: float | None = None
    """Seconds after which this attempt is given up, where that is earlier than the provider's deadline."""
    reset: bool = False
    """The connection ends with a reset (RST), and no reply is read."""
    refuse: bool = False
    """The connection is refused; the receiver gets nothing."""

    @property
    def ackable(self) -> bool:
        """Whether an acknowledgement can come back at all."""
        return not (
            self.body_limit is not None
            or self.length_error
            or not self.read_reply
            or self.silent
            or self.reset
            or self.refuse
        )


NO_WIRE = Wire()
NO_TRANSPORT = Transport()


@dataclass(frozen=True, slots=True)
class Step:
    """One HTTP request: which delivery it carries, when it starts, and what is done to it."""

    index: int
    turn: int = 0
    at: float = 0.0
    copy: int = 0
    attempt: int = 0
    awaited: bool = True
    connection: str | None = None
    """The name of the kept-alive connection it goes over, one request at a time; None: one of its own."""
    signing: int = 0
    """Steps of one delivery with the same number carry the same time and nonce."""
    stamp_shift: int = 0
    """Milliseconds that are added to the time before signing."""
    wire: Wire = NO_WIRE
    changes: tuple[Change, ...] = ()
    transport: Transport = NO_TRANSPORT

    @property
    def afresh(self) -> bool:
        """Whether it is signed anew, and not with the time and nonce of the delivery's first request."""
        return self.signing > 0

    @property
    def repeats(self) -> bool:
        """Whether the delivery was planned before, as another copy or attempt."""
        return self.copy > 0 or self.attempt > 0

    @property
    def disturbed(self) -> bool:
        """Whether an ordinary HTTP client cannot send it."""
        return self.connection is not None or self.transport != NO_TRANSPORT


Plan = tuple[Step, ...]
Chain = tuple[Step, ...]
"""The attempts of one copy, in order."""


def plan(count: int, rate: float | None = None) -> Plan:
    """Return the undisturbed plan: `count` deliveries in turn, or `rate` of them per second; ValueError if rate <= 0."""
    if rate is None:
        return tuple(Step(index, turn=index) for index in range(count))
    if not rate > 0:
        raise ValueError(f"a rate of {rate:g} deliveries per second never ends; give more than 0")
    return tuple(Step(index, at=index / rate) for index in range(count))


def chains(steps: Iterable[Step]) -> list[Chain]:
    """Return the attempts of each copy, in the order in which the first ones stand in the plan."""
    found: dict[tuple[int, int], list[Step]] = {}
    for step in steps:
        found.setdefault((step.index, step.copy), []).append(step)
    return [tuple(chain) for chain in found.values()]


def units(steps: Iterable[Step]) -> list[list[Chain]]:
    """Return the copies that belong together: neighbours of one delivery that start at one moment."""
    found: list[list[Chain]] = []
    for chain in chains(steps):
        key = (chain[0].index, chain[0].turn, chain[0].at)
        if found and key == (found[-1][0][0].index, found[-1][0][0].turn, found[-1][0][0].at):
            found[-1].append(chain)
        else:
            found.append([chain])
    return found


def joined(parts: Iterable[Chain]) -> Plan:
    """Return the plan of these chains: in the order of their turns, which are numbered from 0, and of their times."""
    ordered = sorted(parts, key=lambda chain: (chain[0].turn, chain[0].at))
    numbers = {turn: number for number, turn in enumerate(sorted({chain[0].turn for chain in ordered}))}
    return tuple(replace(step, turn=numbers[chain[0].turn]) for chain in ordered for step in chain)


def moved(chain: Chain, turn: int, at: float) -> Chain:
    """Return the chain with its first attempt at another moment."""
    first = replace(chain[0], turn=turn, at=at)
    return (first, *(replace(step, turn=turn) for step in chain[1:]))


def copied(chain: Chain, copy: int) -> Chain:
    """Return the chain as another copy of its delivery."""
    return tuple(replace(step, copy=copy) for step in chain)


def copies(steps: Iterable[Step]) -> dict[int, int]:
    """Return the number of each delivery's next copy."""
    found: dict[int, int] = {}
    for step in steps:
        found[step.index] = max(found.get(step.index, 0), step.copy + 1)
    return found


def again(chain: Chain, gap: float) -> Step:
    """Return the step that repeats the chain's last one, `gap` seconds after it has ended."""
    return replace(chain[-1], attempt=len(chain), at=gap)


def dump(steps: Sequence[Step]) -> str:
    """Return the plan as JSON, one step a line, without what is as by default: the same plan gives the same bytes."""
    lines = (json.dumps(_plain(step), sort_keys=True, separators=(",", ":")) for step in steps)
    return "[" + ",\n".join(lines) + "]\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        given = ((one.name, getattr(value, one.name), one.default) for one in fields(value))
        return {name: _plain(now) for name, now, default in given if now != default}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
