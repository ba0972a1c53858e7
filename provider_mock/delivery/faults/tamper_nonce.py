"""The fault `tamper-nonce`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from provider_mock.delivery.fault import Changing, with_change
from provider_mock.delivery.plan import Change, Step


@dataclass(frozen=True)
class TamperNonce(Changing):
    """Change the nonce after signing."""

    name: ClassVar[str] = "tamper-nonce"

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("nonce"))


FAULT = TamperNonce
