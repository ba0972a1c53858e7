"""The fault `sign-afresh`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import attribute, chosen, every_attribute
from im_callback.provider_mock.delivery.plan import Plan, again, chains, joined


@dataclass(frozen=True)
class SignAfresh:
    """Repeat each delivery with a new time, nonce and signature. Repeats and retries that are planned already are signed anew; where there are none, one is added."""

    name: ClassVar[str] = "sign-afresh"

    gap: float = attribute(0.0, "seconds before a repeat that is added", least=0)
    every: int = every_attribute()

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan in which no two steps of a delivery share time and nonce."""
        del rng
        once = {index for index, count in Counter(step.index for step in plan).items() if count == 1}
        found = []
        signings: Counter[int] = Counter()
        for chain in chains(plan):
            if not chosen(chain[0], self.every):
                found.append(chain)
                continue
            longer = (*chain, again(chain, self.gap)) if chain[0].index in once else chain
            signed = []
            for step in longer:
                signed.append(replace(step, signing=signings[step.index]))
                signings[step.index] += 1
            found.append(tuple(signed))
        return joined(found)


FAULT = SignAfresh
