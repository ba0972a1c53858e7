"""The fault `duplicate-later`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import attribute, chosen, every_attribute
from im_callback.provider_mock.delivery.plan import Plan, chains, copied, copies, joined, moved


@dataclass(frozen=True)
class DuplicateLater:
    """Send each delivery once more, byte for byte, after many others."""

    name: ClassVar[str] = "duplicate-later"

    distance: int = attribute(1000, "deliveries in between, as far as there are so many", least=1)
    every: int = every_attribute()

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with another copy of each delivery further on."""
        del rng
        planned = chains(plan)
        following = copies(plan)
        found = [(float(chain[0].turn), chain) for chain in planned]
        for place, chain in enumerate(planned):
            if not chosen(chain[0], self.every):
                continue
            number = following[chain[0].index]
            following[chain[0].index] += 1
            target = planned[min(place + self.distance, len(planned) - 1)][0]
            copy = copied(chain, number)
            if target.turn == chain[0].turn and target.at > chain[0].at:
                found.append((float(target.turn), moved(copy, target.turn, target.at)))
            else:
                # A turn of its own between the target's and the next one.
                behind = target.turn + (place + 1) / (len(planned) + 1)
                found.append((behind, moved(copy, target.turn, 0.0)))
        numbers = {turn: number for number, turn in enumerate(sorted({turn for turn, _ in found}))}
        return joined(moved(chain, numbers[turn], chain[0].at) for turn, chain in found)


FAULT = DuplicateLater
