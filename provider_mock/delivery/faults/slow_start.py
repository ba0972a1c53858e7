"""The fault `slow-start`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing, attribute
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class SlowStart(Changing):
    """Connect and wait before the first byte is sent."""

    name: ClassVar[str] = "slow-start"
    takes_time: ClassVar[bool] = True

    seconds: float = attribute(1.0, "seconds between the connection and the first byte", least=0)

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return replace(step, transport=replace(step.transport, slow_start=self.seconds))


FAULT = SlowStart
