"""The fault `foreign-app`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from provider_mock.delivery.fault import Changing, attribute, with_change
from provider_mock.delivery.plan import Change, Step


@dataclass(frozen=True)
class ForeignApp(Changing):
    """Name another app, and sign for it."""

    name: ClassVar[str] = "foreign-app"

    key: str = attribute("another-app", "the key of that app")

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("app", value=self.key))


FAULT = ForeignApp
