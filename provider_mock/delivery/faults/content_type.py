"""The fault `content-type`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing, attribute
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class ContentType(Changing):
    """Send another Content-Type, or none."""

    name: ClassVar[str] = "content-type"

    value: str = attribute("application/json;charset=utf-8", "what it says; none: the header is left out")

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return replace(step, wire=replace(step.wire, content_type=None if self.value == "none" else self.value))


FAULT = ContentType
