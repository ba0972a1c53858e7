"""What faults are made of: a name, attributes, and a pure function from plan to plan.

A fault is a frozen dataclass. Its class attribute `name` is what people type; the first sentence
of its docstring is its line in the catalogue; its fields, made with `attribute`, are what can be
set. `apply` gets a plan and a `Random` and returns a plan; all it may draw from that `Random` is
`random()`, whose sequence Python promises to keep.

Faults are applied from left to right, each to the plan that the one before it returned:

* Those that **repeat or move** take deliveries with everything that is planned for them.
* Those that make an **attempt fail** (`Failing`) disturb the last attempt of each copy and put
  the retry behind it, as that attempt was before. Several of them fail one after the other.
* Those that **change requests** (`Changing`) change every step that `on` and `every` choose,
  retries and repeats that are planned by then among them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields, replace
from random import Random
from typing import Any, ClassVar, Protocol, runtime_checkable

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.plan import (
    Chain,
    Plan,
    Step,
    Transport,
    again,
    chains,
    copied,
    copies,
    joined,
    moved,
)

MOST_REPEATS = 100
"""Requests that one fault makes of one at most."""


@runtime_checkable
class Fault(Protocol):
    """A named, deterministic disturbance; any frozen dataclass with these members is one."""

    @property
    def name(self) -> str:
        """What people type; a class attribute of all that are in the catalogue."""
        ...

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the disturbed plan."""
        ...


class NothingToDisturb(ValueError):
    """A fault found no step that it could change, so it would be without effect, silently."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}:on=repeats finds nothing that is sent again; "
            "put a fault before it that repeats, such as duplicate or lose-ack"
        )
        self.name = name


def attribute(
    default: Any,
    meaning: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    zero: bool = True,
) -> Any:
    """Return the dataclass field of an attribute: its type is that of the default.

    `least` is the smallest value, `most` the largest, `choices` are all there are, and `zero` says whether 0 is allowed.
    """
    limits = {"least": least, "most": most, "choices": choices, "zero": zero}
    return field(default=default, metadata={"meaning": meaning, **limits})


def attributes(kind: type[Fault]) -> tuple[Field[Any], ...]:
    """Return the attributes of a class of faults."""
    return fields(kind)  # type: ignore[arg-type]


def every_attribute() -> Any:
    """Return the attribute `every`."""
    return attribute(1, "disturb the first of every so many deliveries", least=1)


@dataclass(frozen=True)
class Failing(ABC):
    """A fault that makes attempts fail, so that the delivery is made again."""

    name: ClassVar[str]
    takes_time: ClassVar[bool] = False
    """Whether the others should go on meanwhile."""

    times: int = attribute(1, "attempts in a row that fail", least=1, most=MOST_REPEATS)
    gap: float = attribute(0.0, "seconds until the next attempt", least=0)
    retry: bool = attribute(True, "whether it is then sent again, undisturbed")
    every: int = every_attribute()

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan in which the last attempt of each copy fails first."""
        del rng
        return joined(self._failed(chain) if chosen(chain[0], self.every) else chain for chain in chains(plan))

    def _failed(self, chain: Chain) -> Chain:
        whole = chain[-1]
        broken = replace(whole, transport=self.disturb(whole.transport))
        found = (*chain[:-1], broken)
        for _ in range(self.times - 1):
            found = (*found, again(found, self.gap))
        if self.retry:
            found = (*found, replace(whole, attempt=len(found), at=self.gap))
        return aside(found) if self.takes_time and self.every > 1 else found

    @abstractmethod
    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""


@dataclass(frozen=True)
class Changing(ABC):
    """A fault that changes requests one by one."""

    name: ClassVar[str]
    takes_time: ClassVar[bool] = False
    """Whether the others should go on meanwhile."""

    on: str = attribute("all", "which requests of a delivery", choices=("all", "first", "repeats"))
    every: int = every_attribute()

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with the chosen steps changed; raises `NothingToDisturb`."""
        del rng
        if plan and not any(self._chosen(step) for step in plan):
            raise NothingToDisturb(self.name)
        found = []
        for chain in chains(plan):
            changed = tuple(self.change(step) if self._chosen(step) else step for step in chain)
            found.append(aside(changed) if self.takes_time and self.every > 1 and changed != chain else changed)
        return joined(found)

    def _chosen(self, step: Step) -> bool:
        return chosen(step, self.every) and (self.on == "all" or (self.on == "repeats") == step.repeats)

    @abstractmethod
    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""


@dataclass(frozen=True)
class Shared:
    """A fault that is left out of most deliveries: the seed draws the share of them that it disturbs."""

    fault: Fault
    share: float

    @property
    def name(self) -> str:
        """The fault's own."""
        return self.fault.name

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with a share of its deliveries disturbed; raises `NothingToDisturb` if none of all could be."""
        self.fault.apply(plan, Random(0))
        drawn = {index for index in sorted({step.index for step in plan}) if rng.random() < self.share}
        mine = chains(step for step in plan if step.index in drawn)
        turns = sorted({chain[0].turn for chain in mine})
        try:
            # Among themselves they have turns without gaps; then they go back to their places among the others.
            disturbed = chains(self.fault.apply(joined(mine), rng))
        except NothingToDisturb:
            return plan
        back = [moved(chain, _among(turns, chain[0].turn), chain[0].at) for chain in disturbed]
        return joined([*chains(step for step in plan if step.index not in drawn), *back])


def _among(turns: list[int], turn: int) -> int:
    return turns[turn] if turn < len(turns) else turns[-1] + turn - len(turns) + 1


def chosen(step: Step, every: int) -> bool:
    """Return whether the step belongs to the first of every so many deliveries."""
    return step.index % every == 0


def aside(chain: Chain) -> Chain:
    """Return the chain with nobody waiting for it."""
    return tuple(replace(step, awaited=False) for step in chain)


def side_by_side(plan: Plan, number: int, every: int) -> list[list[Chain]]:
    """Return each copy with `number - 1` further copies of itself beside it, where its delivery is chosen."""
    following = copies(plan)
    found = []
    for chain in chains(plan):
        group = [chain]
        if chosen(chain[0], every):
            for _ in range(number - 1):
                group.append(copied(chain, following[chain[0].index]))
                following[chain[0].index] += 1
        found.append(group)
    return found


def with_change(step: Step, change: Change) -> Step:
    """Return the step with one more change."""
    return replace(step, changes=(*step.changes, change))


def exchanged(plan: Iterable[list[Chain]], order: list[int]) -> Plan:
    """Return the plan in which place n is taken by what stood at place `order[n]`."""
    groups = list(plan)
    places = [(group[0][0].turn, group[0][0].at) for group in groups]
    found: list[Chain] = []
    for (turn, at), source in zip(places, order, strict=True):
        found += [moved(chain, turn, at) for chain in groups[source]]
    return joined(found)


def windows(length: int, size: int) -> list[range]:
    """Return the places 0 to `length` in windows of `size`; 0: in one."""
    size = size or max(length, 1)
    return [range(start, min(start + size, length)) for start in range(0, length, size)]
