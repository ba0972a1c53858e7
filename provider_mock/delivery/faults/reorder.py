"""The fault `reorder`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import attribute, exchanged, windows
from im_callback.provider_mock.delivery.plan import Plan, units


@dataclass(frozen=True)
class Reorder:
    """Shuffle the deliveries so that none keeps its place, by the seed."""

    name: ClassVar[str] = "reorder"

    window: int = attribute(0, "shuffle only among so many neighbours; 0: all", least=0)

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with the deliveries at each other's moments."""
        groups = units(plan)
        order = list(range(len(groups)))
        for window in windows(len(groups), self.window):
            # Sattolo's shuffle: one cycle, so nothing stays where it was. Only `random()` is drawn,
            # because Python promises its sequence and not that of `shuffle()`.
            for place in range(window.stop - 1, window.start, -1):
                other = window.start + int(rng.random() * (place - window.start))
                order[place], order[other] = order[other], order[place]
        return exchanged(groups, order)


FAULT = Reorder
