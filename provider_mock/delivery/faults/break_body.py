"""The fault `break-body`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from provider_mock.delivery.bodies import BROKEN
from provider_mock.delivery.fault import Changing, attribute, with_change
from provider_mock.delivery.plan import Change, Step


@dataclass(frozen=True)
class BreakBody(Changing):
    """Send a body that is no callback, correctly signed."""

    name: ClassVar[str] = "break-body"

    kind: str = attribute("cut", "what stands there", choices=tuple(BROKEN))

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("break", value=self.kind))


FAULT = BreakBody
