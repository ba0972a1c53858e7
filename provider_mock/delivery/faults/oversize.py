"""The fault `oversize`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step

MOST_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True)
class Oversize(Changing):
    """Fill the body up with white space, correctly signed."""

    name: ClassVar[str] = "oversize"

    bytes: int = attribute(10 * 1024 * 1024, "length of the body", least=1, most=MOST_BYTES)

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("pad", value=str(self.bytes)))


FAULT = Oversize
