"""The fault `foreign-app`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class ForeignApp(Changing):
    """Name another app, and sign for it."""

    name: ClassVar[str] = "foreign-app"

    key: str = attribute("another-app", "the key of that app")

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("app", value=self.key))


FAULT = ForeignApp
