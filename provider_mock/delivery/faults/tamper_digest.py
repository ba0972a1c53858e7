"""The fault `tamper-digest`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from provider_mock.delivery.fault import Changing, with_change
from provider_mock.delivery.plan import Change, Step


@dataclass(frozen=True)
class TamperDigest(Changing):
    """Send a wrong digest of the body under a right signature."""

    name: ClassVar[str] = "tamper-digest"

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("digest"))


FAULT = TamperDigest
