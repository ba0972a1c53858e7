"""The fault `wrong-content-length`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Failing, attribute
from im_callback.provider_mock.delivery.plan import Transport


@dataclass(frozen=True)
class WrongContentLength(Failing):
    """Promise another body length than is sent, and send again."""

    name: ClassVar[str] = "wrong-content-length"
    takes_time: ClassVar[bool] = True

    by: int = attribute(1, "bytes too many that are promised; below 0: too few", zero=False)
    after: float = attribute(0.0, "seconds until it is given up; 0: the provider's own deadline", least=0)

    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""
        return replace(transport, length_error=self.by, deadline=self.after or transport.deadline)


FAULT = WrongContentLength
