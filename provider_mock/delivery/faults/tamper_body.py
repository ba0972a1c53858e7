"""The fault `tamper-body`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.delivery.fault import Changing, attribute, with_change
from im_callback.provider_mock.delivery.plan import Step


@dataclass(frozen=True)
class TamperBody(Changing):
    """Change a text in the body after signing. Where the signature does not cover the body, as at RongCloud and Tencent, the request stays valid."""

    name: ClassVar[str] = "tamper-body"

    recompute: bool = attribute(False, "whether the header with the body's digest is made to fit")

    def change(self, step: Step) -> Step:
        """Return the step with the disturbance."""
        return with_change(step, Change("body", value="recompute" if self.recompute else ""))


FAULT = TamperBody
