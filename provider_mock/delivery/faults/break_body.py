"""The fault `break-body`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.bodies import BROKEN
from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class BreakBody(Changing):
    """Send a body that is no callback, correctly signed."""

    name: ClassVar[str] = "break-body"

    kind: str = attribute("cut", "what stands there", choices=BROKEN)

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("break", value=self.kind))


FAULT = BreakBody
