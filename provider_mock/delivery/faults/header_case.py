"""The fault `header-case`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Changing, attribute
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class HeaderCase(Changing):
    """Write the names of the headers in another case."""

    name: ClassVar[str] = "header-case"

    case: str = attribute("lower", "how they are written", choices=("lower", "upper"))

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        wire = replace(step.wire, header_case="lower" if self.case == "lower" else "upper")
        return replace(step, wire=wire)


FAULT = HeaderCase
