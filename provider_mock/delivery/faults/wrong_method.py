"""The fault `wrong-method`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from provider_mock.delivery.fault import Changing, attribute, with_change
from provider_mock.delivery.plan import Change, Step


@dataclass(frozen=True)
class WrongMethod(Changing):
    """Use another HTTP method than POST."""

    name: ClassVar[str] = "wrong-method"

    method: str = attribute("GET", "which one", choices=("GET", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"))

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("method", value=self.method))


FAULT = WrongMethod
