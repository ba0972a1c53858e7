"""The fault `reverse`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import attribute, exchanged, windows
from im_callback.provider_mock.delivery.plan import Plan, units


@dataclass(frozen=True)
class Reverse:
    """Send the deliveries in reverse order."""

    name: ClassVar[str] = "reverse"

    window: int = attribute(0, "reverse only among so many neighbours; 0: all", least=0)

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with the deliveries at each other's moments, the last one first."""
        del rng
        groups = units(plan)
        return exchanged(groups, [place for window in windows(len(groups), self.window) for place in reversed(window)])


FAULT = Reverse
