"""The fault `tamper-signature`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class TamperSignature(Changing):
    """Send only the first characters of the signature."""

    name: ClassVar[str] = "tamper-signature"

    keep: int = attribute(8, "characters that are kept", least=0)

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("signature", value=str(self.keep)))


FAULT = TamperSignature
