"""The fault `wrong-method`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class WrongMethod(Changing):
    """Use another HTTP method than POST."""

    name: ClassVar[str] = "wrong-method"

    method: str = attribute("GET", "which one", choices=("GET", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"))

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("method", value=self.method))


FAULT = WrongMethod
