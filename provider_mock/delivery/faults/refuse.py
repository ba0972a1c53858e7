"""The fault `refuse`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Failing
from im_callback.provider_mock.delivery.plan import Transport


@dataclass(frozen=True)
class Refuse(Failing):
    """Let the connection be refused, as if the receiver were down, and send again; the receiver sees the retry only."""

    name: ClassVar[str] = "refuse"

    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""
        return replace(transport, refuse=True)


FAULT = Refuse
