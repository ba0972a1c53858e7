"""The fault `time-out`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from im_callback.provider_mock.delivery.fault import Failing, attribute
from im_callback.provider_mock.delivery.plan import Transport


@dataclass(frozen=True)
class TimeOut(Failing):
    """Look at no reply, give up at the deadline, and send again."""

    name: ClassVar[str] = "time-out"
    takes_time: ClassVar[bool] = True

    after: float = attribute(0.0, "seconds until it is given up; 0: the provider's own deadline", least=0)

    def disturb(self, transport: Transport) -> Transport:
        """Return the transport with what makes the attempt fail."""
        return replace(transport, silent=True, deadline=self.after or transport.deadline)


FAULT = TimeOut
