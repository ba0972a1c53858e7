"""The fault `half-close`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class HalfClose(Changing):
    """Close the sending side after the request and still wait for the reply."""

    name: ClassVar[str] = "half-close"

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return replace(step, transport=replace(step.transport, half_close=True))


FAULT = HalfClose
