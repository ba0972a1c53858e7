"""The fault `two-connections`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import every_attribute, side_by_side
from im_callback.provider_mock.delivery.plan import Plan, joined


@dataclass(frozen=True)
class TwoConnections:
    """Send each delivery twice at once, over two connections that are kept alive."""

    name: ClassVar[str] = "two-connections"

    every: int = every_attribute()

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with each copy doubled, one half a connection."""
        del rng
        found = []
        for group in side_by_side(plan, 2, self.every):
            if len(group) == 1:
                found += group
                continue
            for name, chain in zip(("first", "second"), group, strict=True):
                found.append(tuple(replace(step, connection=name) for step in chain))
        return joined(found)


FAULT = TwoConnections
