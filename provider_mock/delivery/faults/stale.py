"""The fault `stale`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing, attribute
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class Stale(Changing):
    """Sign with a time that has long passed, or has not come yet."""

    name: ClassVar[str] = "stale"

    age: float = attribute(3600.0, "seconds that have passed; below 0: seconds to come", zero=False)

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return replace(step, stamp_shift=step.stamp_shift - round(self.age * 1000))


FAULT = Stale
