"""The fault `delay`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import aside, attribute, chosen
from im_callback.provider_mock.delivery.plan import Plan, chains, joined, moved


@dataclass(frozen=True)
class Delay:
    """Hold deliveries back, so that those behind them overtake. With every=1 nothing can overtake: each one just leaves later."""

    name: ClassVar[str] = "delay"

    seconds: float = attribute(1.0, "seconds that they are held back", least=0)
    jitter: float = attribute(0.0, "seconds by which that is longer or shorter at most, drawn from the seed", least=0)
    every: int = attribute(2, "hold back the first of every so many deliveries", least=1)

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with later first attempts, for which the next turn does not wait."""
        found = []
        for chain in chains(plan):
            if not chosen(chain[0], self.every):
                found.append(chain)
                continue
            seconds = self.seconds + (self.jitter * (2 * rng.random() - 1) if self.jitter else 0.0)
            later = moved(chain, chain[0].turn, chain[0].at + max(0.0, seconds))
            found.append(aside(later) if self.every > 1 else later)
        return joined(found)


FAULT = Delay
