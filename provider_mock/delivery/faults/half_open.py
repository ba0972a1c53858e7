"""The fault `half-open`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Failing, attribute
from im_callback.provider_mock.delivery.plan import Transport


@dataclass(frozen=True)
class HalfOpen(Failing):
    """Fall silent in the middle of the body, as a peer whose cable was pulled, and send again after the deadline."""

    name: ClassVar[str] = "half-open"
    takes_time: ClassVar[bool] = True

    missing: int = attribute(16, "bytes of the body that do not go out", least=1)
    after: float = attribute(0.0, "seconds until it is given up; 0: the provider's own deadline", least=0)

    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""
        return replace(
            transport, body_limit=-self.missing, silent=True, reset=True, deadline=self.after or transport.deadline
        )


FAULT = HalfOpen
