"""The fault `tamper-digest`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class TamperDigest(Changing):
    """Send a wrong digest of the body under a right signature."""

    name: ClassVar[str] = "tamper-digest"

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("alter", "digest"))


FAULT = TamperDigest
