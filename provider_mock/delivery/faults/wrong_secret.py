"""The fault `wrong-secret`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class WrongSecret(Changing):
    """Sign with another secret, with none, or with the app key in its place."""

    name: ClassVar[str] = "wrong-secret"

    secret: str = attribute("other", "what stands in its place", choices=("other", "empty", "app-key"))

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("secret", value=self.secret))


FAULT = WrongSecret
