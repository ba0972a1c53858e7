"""How an accepted delivery is to be disturbed: the faults, the seed, and its place among those accepted with it.

Its text travels with the delivery through the ledger, so that the same disturbance is still to come
after a restart. The plan is made anew from it: the same text gives the same plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random

from im_callback.provider_mock.contract import Credentials, Event, Provider
from im_callback.provider_mock.delivery import faults as catalogue
from im_callback.provider_mock.delivery.fault import Fault, NothingToDisturb
from im_callback.provider_mock.delivery.make import Maker
from im_callback.provider_mock.delivery.plan import Plan, Step, plan

MOST_STEPS = 20_000
"""Requests that are planned together."""
SAMPLE = 200
"""Steps by which is foreseen how many a fault makes."""


class PlanTooLong(ValueError):
    """The faults make too many requests."""

    def __init__(self, fault: str, steps: int) -> None:
        super().__init__(
            f"with the fault {fault} the plan has {steps} requests; {MOST_STEPS} are the most: repeat less,"
            " or accept fewer deliveries together"
        )
        self.fault = fault
        self.steps = steps


class NotThroughProxy(ValueError):
    """What is done on the socket would be done to the proxy."""

    def __init__(self) -> None:
        super().__init__(
            "faults on the connection cannot reach a receiver through a proxy;"
            " leave them out, or take the proxy out of the app"
        )


@dataclass(frozen=True)
class Disturbance:
    """Of one delivery: the one at `index` of the `size` that were accepted together.

    `offset` is the place of the first of them in a longer stream, for faults that disturb one in so many.
    """

    faults: tuple[str, ...]
    seed: int
    index: int
    size: int
    offset: int = 0

    def dump(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Disturbance:
        """Return what a text stands for."""
        values = json.loads(text)
        return cls(tuple(values.pop("faults")), **values)

    def plan(self) -> Plan:
        """Return the plan of all `size` deliveries.

        Raises what `faults.parse` raises, `NothingToDisturb`, and `PlanTooLong`.
        """
        planned, random = plan(self.size), Random(self.seed)
        for fault in self.faults:
            parsed = catalogue.parse(fault)
            if (steps := _foreseen(parsed, planned, self.offset)) > 2 * MOST_STEPS:
                raise PlanTooLong(fault, steps)
            planned = catalogue.apply([parsed], planned, random, self.offset)
            if len(planned) > MOST_STEPS:
                raise PlanTooLong(fault, len(planned))
        return planned


def _foreseen(fault: Fault, planned: Plan, offset: int) -> int:
    """Return about how many steps a fault makes of a plan, by what it makes of its beginning: too many are not made."""
    part = planned[:SAMPLE]
    if len(part) == len(planned):
        return 0
    try:
        grown = len(catalogue.apply([fault], part, Random(0), offset))
    except NothingToDisturb:
        return 0
    return grown * len(planned) // len(part)


def check_proxied(steps: Iterable[Step]) -> None:
    """Raise `NotThroughProxy` if a step does something on the socket."""
    if any(step.disturbed for step in steps):
        raise NotThroughProxy


def disturbed(
    faults: Sequence[str],
    provider: Provider,
    credentials: Credentials,
    batches: Sequence[Sequence[Event]],
    seed: int,
    offset: int = 0,
    *,
    proxied: bool = False,
) -> list[str | None]:
    """Return the text of each delivery that is accepted together with the others; None for those left as they are.

    `batches` are the events of each; `proxied` says whether they go through a proxy.

    Raises:
        ValueError, LookupError: a fault, an attribute or its value does not exist, or the fault would have
            nothing to disturb (`faults.UnknownFault`, `UnknownAttribute`, `BadValue`, `NothingToDisturb`, `CannotChange`),
            too much, or the wrong one (`PlanTooLong`, `NotThroughProxy`).
    """
    if not faults:
        return [None] * len(batches)
    first = Disturbance(tuple(faults), seed, 0, len(batches), offset)
    planned = first.plan()
    if proxied:
        check_proxied(planned)
    Maker(provider, credentials, "http://127.0.0.1/", batches, lambda: "0").check(planned)
    steps: dict[int, list[Step]] = {}
    for step in planned:
        steps.setdefault(step.index, []).append(step)
    return [
        None if steps.get(index) == [Step(index, turn=index)] else replace(first, index=index).dump()
        for index in range(len(batches))
    ]
