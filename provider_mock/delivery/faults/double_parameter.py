"""The fault `double-parameter`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class DoubleParameter(Changing):
    """Send a parameter of the signature twice."""

    name: ClassVar[str] = "double-parameter"

    parameter: str = attribute("signature", "which one, by name or by role: key, time, nonce, digest, signature")

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("double", self.parameter))


FAULT = DoubleParameter
