"""The fault `trickle`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing, attribute
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class Trickle(Changing):
    """Send the body in small pieces, spread over time. With every=2 or more, the others go on meanwhile."""

    name: ClassVar[str] = "trickle"
    takes_time: ClassVar[bool] = True

    bytes: int = attribute(16, "bytes in a piece", least=1)
    pause: float = attribute(0.01, "seconds between two pieces", least=0)
    bandwidth: int = attribute(0, "bytes per second, in the place of the pause; 0: as the pause says", least=0)
    headers: bool = attribute(False, "whether the headers come in pieces too")

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        pause = self.bytes / self.bandwidth if self.bandwidth else self.pause
        transport = replace(
            step.transport, trickle_bytes=self.bytes, trickle_seconds=pause, trickle_headers=self.headers
        )
        return replace(step, transport=transport)


FAULT = Trickle
