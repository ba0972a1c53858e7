"""The fault `chunked`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class Chunked(Changing):
    """Send the body in chunks, without a Content-Length."""

    name: ClassVar[str] = "chunked"

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return replace(step, wire=replace(step.wire, chunked=True))


FAULT = Chunked
