"""The fault `burst`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import attribute, windows
from im_callback.provider_mock.delivery.plan import Plan, joined, moved, units


@dataclass(frozen=True)
class Burst:
    """Send many deliveries at the same moment."""

    name: ClassVar[str] = "burst"

    size: int = attribute(200, "deliveries at once", least=1)

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan in which every so many deliveries start when the first of them would."""
        del rng
        groups = units(plan)
        found = []
        for window in windows(len(groups), self.size):
            first = groups[window.start][0][0]
            found += [moved(chain, first.turn, first.at) for place in window for chain in groups[place]]
        return joined(found)


FAULT = Burst
