"""The fault `duplicate-concurrently`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import MOST_REPEATS, attribute, every_attribute, side_by_side
from im_callback.provider_mock.delivery.plan import Plan, joined


@dataclass(frozen=True)
class DuplicateConcurrently:
    """Send each delivery several times at once, byte for byte, each over its own connection."""

    name: ClassVar[str] = "duplicate-concurrently"

    copies: int = attribute(16, "requests at once", least=2, most=MOST_REPEATS)
    every: int = every_attribute()

    def apply(self, plan: Plan, rng: Random) -> Plan:
        """Return the plan with further copies beside each one."""
        del rng
        return joined(chain for group in side_by_side(plan, self.copies, self.every) for chain in group)


FAULT = DuplicateConcurrently
