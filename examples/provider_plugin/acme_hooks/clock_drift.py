"""The fault `clock-drift`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing, attribute
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class ClockDrift(Changing):
    """Sign by a clock that falls behind, with every delivery a little more."""

    name: ClassVar[str] = "clock-drift"

    seconds: float = attribute(1.0, "by how much with each delivery; below 0: it runs ahead", zero=False)

    def change(self, step: Step) -> Step:
        """Return the step, signed by that clock."""
        return replace(step, stamp_shift=step.stamp_shift - round(self.seconds * 1000 * (step.index + 1)))
