"""The fault `tamper-time`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class TamperTime(Changing):
    """Change the time after signing."""

    name: ClassVar[str] = "tamper-time"

    by: int = attribute(1, "added to it, in its own unit", zero=False)

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("time", value=str(self.by)))


FAULT = TamperTime
