"""The fault `duplicate`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import MOST_REPEATS, attribute, chosen, every_attribute
from im_callback.provider_mock.delivery.plan import Plan, again, chains, joined


@dataclass(frozen=True)
class Duplicate:
    """Send each delivery again, byte for byte, after it has ended."""

    name: ClassVar[str] = "duplicate"

    times: int = attribute(1, "how often it is sent again", least=1, most=MOST_REPEATS)
    gap: float = attribute(0.0, "seconds in between", least=0)
    every: int = every_attribute()

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with repeats behind the last attempt of each copy."""
        del rng
        found = []
        for chain in chains(plan):
            longer = chain
            for _ in range(self.times if chosen(chain[0], self.every) else 0):
                longer = (*longer, again(longer, self.gap))
            found.append(longer)
        return joined(found)


FAULT = Duplicate
