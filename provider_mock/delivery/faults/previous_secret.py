"""The fault `previous-secret`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class PreviousSecret(Changing):
    """Sign with the secret that the app had before, as what left before a change of secrets."""

    name: ClassVar[str] = "previous-secret"

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("secret", value="previous"))


FAULT = PreviousSecret
